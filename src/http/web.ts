import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import serveFiles from '@fastify/static';
import type { FastifyReply } from 'fastify';
import { Failure } from '../core/failure.ts';
import type { App } from './app.ts';

/** Where an app is served, and what its pages may do beyond what all of them may. */
interface WebApp {
  base: '/wallet/' | '/scan/';
  scripts: string;
  /** whether other sites may show it inside theirs, if the operator names them */
  isEmbeddable: boolean;
}

const APPS: WebApp[] = [
  { base: '/wallet/', scripts: "'self'", isEmbeddable: true },
  // reading a QR runs WebAssembly, in a worker
  { base: '/scan/', scripts: "'self' 'wasm-unsafe-eval'", isEmbeddable: false },
];

/** Names in this folder change with the content. */
const HASHED = 'assets/';
const YEAR_S = 31_536_000;

/**
 * Serves the built web apps below `folder`, and their index.html for every address inside them
 * that names no file. `origins` may embed the wallet. Throws when they were not built.
 */
export async function webPages(app: App, folder: string, origins: string[]): Promise<void> {
  const missing = APPS.find(({ base }) => !existsSync(join(folder, base, 'index.html')));
  if (missing) throw new Error(`${missing.base} was not built: npm run build`);
  // only sendFile: which files there are is read once, so that no request can name another
  await app.register(serveFiles, {
    root: folder,
    serve: false,
    preCompressed: true,
    cacheControl: false,
    index: false,
  });
  for (const web of APPS) servePages(app, web, folder, origins);
}

function servePages(app: App, web: WebApp, folder: string, origins: string[]): void {
  const root = join(folder, web.base);
  const files = new Set(filesBelow(root));
  const policy = policyOf(web, origins);
  const page = { config: { audience: 'public' as const }, schema: { hide: true } };
  app.get(web.base.slice(0, -1), page, (request, reply) => {
    const query = request.url.slice(web.base.length - 1);
    return reply.redirect(web.base + (query.startsWith('?') ? query : ''), 308);
  });
  app.get<{ Params: { '*': string } }>(`${web.base}*`, page, (request, reply) => {
    const wanted = request.params['*'];
    if (files.has(wanted) && wanted !== 'index.html') {
      const isForever = wanted.startsWith(HASHED);
      reply.header(
        'cache-control',
        isForever ? `public, max-age=${YEAR_S}, immutable` : 'no-cache',
      );
      // a worker's own requests are judged by the policy it came with
      return send(reply, policy, wanted, root);
    }
    // a page that asks for a file of an older version must not get HTML in its place
    if (wanted !== 'index.html' && isFileName(wanted)) throw new Failure('not_found');
    reply.header('cache-control', 'no-cache');
    return send(reply, policy, 'index.html', root);
  });
}

function send(
  reply: FastifyReply,
  policy: Record<string, string | undefined>,
  file: string,
  root: string,
): FastifyReply {
  for (const [name, value] of Object.entries(policy)) {
    if (value === undefined) reply.removeHeader(name);
    else reply.header(name, value);
  }
  return reply.sendFile(file, root);
}

/** The headers that differ from those of every other answer; undefined takes one away. */
function policyOf(web: WebApp, origins: string[]): Record<string, string | undefined> {
  const isFramed = web.isEmbeddable && origins.length > 0;
  const policy = [
    "default-src 'none'",
    `script-src ${web.scripts}`,
    "worker-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: https:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    `frame-ancestors ${isFramed ? origins.join(' ') : "'none'"}`,
  ].join('; ');
  return {
    'content-security-policy': policy,
    // older than frame-ancestors, and cannot name origins; an opener hands the wallet its token
    ...(isFramed
      ? { 'x-frame-options': undefined, 'cross-origin-opener-policy': 'unsafe-none' }
      : {}),
  };
}

/** Whether the last part of a path is written like a file's. */
function isFileName(path: string): boolean {
  return path.startsWith(HASHED) || /\.[^/]*$/.test(path);
}

/** The files below `root` that a browser may ask for, not their compressed copies. */
function filesBelow(root: string): string[] {
  return readdirSync(root, { withFileTypes: true, recursive: true })
    .filter((item) => item.isFile() && !/^\.|\.(?:br|gz)$/.test(item.name))
    .map((item) => relative(root, join(item.parentPath, item.name)).replaceAll('\\', '/'));
}
