#!/usr/bin/env node
// Builds when the sources are newer than what was built (a fresh checkout has nothing built yet),
// then runs the command line.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const entry = join(root, 'dist/src/cli/main.js');
const webStamp = join(root, 'dist/pages/.built');

function newest(path) {
  if (!statSync(path).isDirectory()) return statSync(path).mtimeMs;
  return Math.max(
    ...readdirSync(path, { withFileTypes: true, recursive: true })
      .filter((item) => item.isFile())
      .map((item) => statSync(join(item.parentPath ?? item.path, item.name)).mtimeMs),
  );
}

/** Whether `target` is missing, or older than one of the sources. */
function isStale(target, ...sources) {
  if (!existsSync(target)) return true;
  return sources.some((source) => newest(join(root, source)) > statSync(target).mtimeMs);
}

/** Whether this command serves the web apps: only `start`, unless its roles leave them out. */
function servesWeb([command, ...options]) {
  const roles = options.join(' ').match(/--roles[ =](\S+)/)?.[1];
  return command === 'start' && (roles === undefined || roles.includes('web'));
}

/** Runs a script of ours beside this one; what it prints goes to standard error. */
function run(script, ...parameters) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [script, ...parameters], { stdio: ['ignore', 2, 2] });
    child.on('error', () => resolve(1));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

if (existsSync('.env')) process.loadEnvFile('.env');
const builds = [];
if (isStale(entry, 'src')) {
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json');
  const tsc = join(dirname(compiler), 'bin/tsc');
  builds.push(run(tsc, '-p', join(root, 'tsconfig.src.json')));
}
if (servesWeb(process.argv.slice(2)) && isStale(webStamp, 'web', 'sdk', 'package-lock.json')) {
  builds.push(run(join(root, 'bin/web.js')));
}
const failed = (await Promise.all(builds)).find((code) => code !== 0);
if (failed !== undefined) process.exit(failed);
await import(entry);
