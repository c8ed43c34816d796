import Type from 'typebox';
import { Closed } from '../../contract/common.ts';
import { prepared } from '../../db/statement.ts';
import { findLanding } from '../../redemptions/landing.ts';
import type { App, RouteDeps } from '../app.ts';
import { localeOf } from '../locale.ts';
import { HOME_LINKS, homePage } from '../pages/home.ts';
import { landingPage } from '../pages/landing.ts';
import { ICON_SVG, PAGE_CSS } from '../pages/style.ts';
import { routeOf } from './common.ts';

const route = routeOf('public', 'landing');
const Language = Type.Object({ lang: Type.Optional(Type.String({ maxLength: 10 })) });
const Html = { description: 'a page', content: { 'text/html': { schema: Type.Any() } } };
const Health = Closed({ status: Type.String() });

const READY = prepared('http.ready', 'SELECT name FROM lumis.migrations LIMIT 1');

/** What anybody may open. GET never changes anything. */
export function publicRoutes(app: App, deps: RouteDeps): void {
  const { db, config } = deps;

  app.get(
    '/r/:token',
    route(
      'Where a QR leads',
      { params: Type.Object({ token: Type.String() }), querystring: Language },
      { 200: Html, 404: Html },
    ),
    async (request, reply) => {
      const landing = await findLanding(db, request.params.token);
      const { html, status } = landingPage({
        landing,
        locale: localeOf(request.query.lang ?? request.headers['accept-language']),
        timeZone: config.businessTimeZone,
        path: `/r/${encodeURIComponent(request.params.token)}`,
      });
      return reply
        .code(status as 200)
        .type('text/html; charset=utf-8')
        .header('cache-control', 'no-store')
        .header('x-robots-tag', 'noindex')
        .send(html as never);
    },
  );

  const page = { config: { audience: 'public' as const }, schema: { hide: true } };
  app.get('/', { ...page, schema: { hide: true, querystring: Language } }, (request, reply) => {
    const locale = localeOf(request.query.lang ?? request.headers['accept-language']);
    const html = homePage({ locale, version: deps.version, demo: deps.demo, links: HOME_LINKS });
    return reply.type('text/html; charset=utf-8').send(html as never);
  });
  for (const [path, type, content] of [
    ['/assets/page.css', 'text/css; charset=utf-8', PAGE_CSS],
    ['/assets/icon.svg', 'image/svg+xml', ICON_SVG],
  ] as const) {
    app.get(path, page, (_, reply) =>
      reply
        .type(type)
        .header('cache-control', 'public, max-age=3600')
        .send(content as never),
    );
  }

  app.get('/openapi.json', page, () => app.swagger() as never);
  app.get(
    '/healthz',
    { ...routeOf('public', 'read')('The process is up', {}, { 200: Health }), config: page.config },
    async () => ({ status: 'ok' }),
  );
  app.get(
    '/readyz',
    {
      ...routeOf('public', 'read')('The database answers', {}, { 200: Health }),
      config: page.config,
    },
    async () => {
      await db.query(READY());
      return { status: 'ok' };
    },
  );
  app.get('/metrics', page, async (_, reply) => {
    const { registry } = deps.metrics;
    return reply.type(registry.contentType).send((await registry.metrics()) as never);
  });
}
