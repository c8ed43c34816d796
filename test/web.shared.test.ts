/** What the web apps share and needs no browser: how things read, and what is kept. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { PROJECT_ROOT } from '../src/project.ts';
import * as format from '../web/shared/format.ts';
import { detectLocale, pickLocale } from '../web/shared/locale.ts';
import { openStore } from '../web/shared/store.ts';

const PANAMA = 'America/Panama';
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Numbers stay with their units by no-break spaces; here they read like others. */
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

test('points have one singular, and thousands as Panama writes them', () => {
  for (const locale of ['es', 'en'] as const) {
    const points = (n: number) => plain(format.points(n, locale));
    assert.equal(points(1), '1 Lümi');
    assert.equal(points(-1), '-1 Lümi');
    assert.equal(points(0), '0 Lümis');
    assert.equal(points(2), '2 Lümis');
    assert.equal(points(1250), '1,250 Lümis');
    assert.equal(points(1_234_567), '1,234,567 Lümis');
    assert.equal(points(0.5), '0.5 Lümis');
  }
});

test('times are of the zone they are asked in, with the month spelled', () => {
  const at = '2026-11-22T21:12:00Z';
  assert.equal(plain(format.time(at, 'es', PANAMA)), '4:12 p. m.');
  assert.equal(plain(format.time(at, 'en', PANAMA)), '4:12 PM');
  assert.equal(plain(format.dateTime(at, 'es', PANAMA)), '22 nov 2026, 4:12 p. m.');
  assert.equal(plain(format.dateTime(at, 'en', PANAMA)), '22 Nov 2026, 4:12 PM');
  assert.equal(format.dayWithoutYear('2026-09-02T12:00:00Z', 'es', PANAMA), '2 sept');
  assert.equal(format.day(new Date('2026-01-01T04:59:00Z'), 'es', PANAMA), '31 dic 2025');
  assert.equal(format.day(Date.parse('2026-01-01T05:00:00Z'), 'es', PANAMA), '1 ene 2026');
  assert.equal(plain(format.time('2026-01-01T05:00:00Z', 'en', PANAMA)), '12:00 AM');
  assert.equal(plain(format.time(at, 'en', 'Europe/Madrid')), '10:12 PM');
  assert.ok(format.isSameDay('2026-01-01T05:00:00Z', '2026-01-02T04:59:59Z', PANAMA));
  assert.ok(!format.isSameDay('2026-01-01T04:59:59Z', '2026-01-01T05:00:00Z', PANAMA));
});

test('a countdown never promises more than there is', () => {
  const left = (ms: number) => plain(format.countdown(ms, 'es'));
  assert.deepEqual([-5, 0, 1, 999, 45_000, 59_001, MINUTE, 15 * MINUTE - 1, HOUR - 1].map(left), [
    '0 s',
    '0 s',
    '1 s',
    '1 s',
    '45 s',
    '1 min',
    '1 min',
    '14 min',
    '59 min',
  ]);
  assert.deepEqual(
    [HOUR, 3 * HOUR + 12 * MINUTE, DAY - 1, DAY, DAY + 5 * HOUR, 2 * DAY, 3 * DAY - 1].map(left),
    ['1 h', '3 h 12 min', '23 h 59 min', '1 día', '1 día 5 h', '2 días', '2 días'],
  );
  assert.equal(plain(format.countdown(DAY, 'en')), '1 day');
  assert.equal(plain(format.countdown(9 * DAY, 'en')), '9 days');
  const unit: Record<string, number> = { s: 1000, min: MINUTE, h: HOUR, día: DAY, días: DAY };
  fc.assert(
    fc.property(fc.integer({ min: MINUTE, max: 400 * DAY }), (ms) => {
      const shown = [...left(ms).matchAll(/(\d+) (\S+)/g)]
        .map(([, n, name = '']) => Number(n) * (unit[name] ?? Number.NaN))
        .reduce((sum, part) => sum + part, 0);
      assert.ok(shown <= ms && shown > 0, `${ms}: ${left(ms)}`);
    }),
  );
});

test('a code reads in groups, however it was written', () => {
  const code = 'LUMS-7K4M-92QX-H3TD-00AB';
  assert.equal(format.groupCode(code), code);
  assert.equal(format.groupCode('lums7k4m 92qx-h3td00ab'), code);
  assert.equal(format.groupCode('ABC'), 'ABC');
  assert.equal(format.groupCode(''), '');
});

test('the language is the first of the browser that we speak, or the one chosen here', () => {
  assert.equal(pickLocale(['fr-CA', 'en-GB', 'es']), 'en');
  assert.equal(pickLocale(['es-419', 'en']), 'es');
  assert.equal(pickLocale(['zh', 'ENGLISH']), 'es');
  assert.equal(pickLocale(['EN']), 'en');
  assert.equal(pickLocale([]), 'es');
  assert.ok(['es', 'en'].includes(detectLocale()));
});

/** A browser's storage, in its behaviour: text only, a quota, or closed altogether. */
class Storage {
  readonly kept = new Map<string, string>();
  isFull = false;
  get length() {
    return this.kept.size;
  }
  key(index: number) {
    return [...this.kept.keys()][index] ?? null;
  }
  getItem(name: string) {
    return this.kept.get(name) ?? null;
  }
  setItem(name: string, value: string) {
    if (this.isFull) throw new Error('QuotaExceededError');
    this.kept.set(name, String(value));
  }
  removeItem(name: string) {
    this.kept.delete(name);
  }
}

let storage = new Storage();
function place(name: 'localStorage' | 'sessionStorage', get: () => unknown) {
  Object.defineProperty(globalThis, name, { get, configurable: true });
}

beforeEach(() => {
  storage = new Storage();
  place('localStorage', () => storage);
});

test('a store keeps values under its own prefix, and clears nobody else', () => {
  const wallet = openStore('lumis.wallet.');
  const scanner = openStore('lumis.scanner.');
  assert.equal(wallet.isPersistent, true);
  assert.equal(wallet.write('token', 'a'), true);
  wallet.write('list', [1, { two: 2 }]);
  scanner.write('token', 'b');
  assert.equal(storage.kept.get('lumis.wallet.token'), '"a"');
  assert.deepEqual(openStore('lumis.wallet.').read('list'), [1, { two: 2 }]);
  storage.kept.set('lumis.wallet.broken', '{"half":');
  assert.equal(wallet.read('broken'), undefined);
  assert.equal(wallet.read('absent'), undefined);
  wallet.remove('list');
  assert.equal(wallet.read('list'), undefined);
  storage.kept.set('lumis.wallet.of-an-older-version', '1');
  wallet.clear();
  assert.deepEqual([...storage.kept.keys()], ['lumis.scanner.token']);
  assert.equal(scanner.read('token'), 'b');
});

test('a store that is full keeps the rest in memory, the newest value first', () => {
  const store = openStore('lumis.');
  store.write('a', 1);
  storage.isFull = true;
  assert.equal(store.write('a', 2), false);
  assert.equal(store.read('a'), 2);
  assert.equal(openStore('lumis.').read('a'), undefined, 'the next page never sees the old one');
  storage.isFull = false;
  assert.equal(store.write('a', 3), true);
  assert.equal(store.read('a'), 3);
  assert.equal(storage.kept.get('lumis.a'), '3');
});

test('a store works where the browser has none, or throws when it is looked at', () => {
  for (const get of [
    () => undefined,
    () => {
      throw new Error('SecurityError');
    },
  ]) {
    place('localStorage', get);
    const store = openStore('lumis.');
    assert.equal(store.isPersistent, false);
    assert.equal(store.write('a', { b: 1 }), false);
    assert.deepEqual(store.read('a'), { b: 1 });
    store.clear();
    assert.equal(store.read('a'), undefined);
  }
});

test('what stands in index.html before any script is what the app says then', () => {
  for (const [app, words] of Object.entries({ wallet: 'wallet/words', scanner: 'scanner' })) {
    const folder = join(PROJECT_ROOT, 'web', words);
    const said = readdirSync(folder)
      .filter((file) => /^words|\.e[ns]\.ts$/.test(file))
      .map((file) => readFileSync(join(folder, file), 'utf8'))
      .join();
    const page = readFileSync(join(PROJECT_ROOT, 'web', app, 'index.html'), 'utf8');
    const texts = [...page.matchAll(/<span class="only-e[sn]">([^<]+)</g)].map(([, text]) => text);
    assert.ok(texts.length >= 4, app);
    for (const text of texts) assert.ok(said.includes(`'${text}'`), `${app}: ${text}`);
  }
});

test('a sentence has one full stop, whatever it ends with', () => {
  const at = format.time('2026-11-22T21:48:00Z', 'es', PANAMA);
  assert.equal(plain(format.sentence(`Se canjeó a las ${at}`)), 'Se canjeó a las 4:48 p. m.');
  assert.equal(format.sentence('Se canjeó en Centro'), 'Se canjeó en Centro.');
});
