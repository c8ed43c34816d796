import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeCursor, encodeCursor } from '../src/core/cursor.ts';
import { Failure } from '../src/core/failure.ts';
import { LANDING_TOKEN, landingToken, uuidV7 } from '../src/core/ids.ts';
import { isoTime } from '../src/core/time.ts';
import { localeOf } from '../src/http/locale.ts';
import { newMerchantKey, parseMerchantKey } from '../src/merchants/key.ts';
import { newCode, parseCode, parseScan } from '../src/redemptions/code.ts';

const SYMBOLS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

test('a code is read however people type it', () => {
  for (let i = 0; i < 200; i += 1) {
    const code = newCode();
    assert.match(code, /^LUMS(-[0-9A-HJKMNP-TV-Z]{4}){4}$/);
    const bare = code.slice(5);
    for (const typed of [
      code.toLowerCase(),
      bare,
      bare.replaceAll('-', ''),
      ` ${code.replaceAll('-', ' ')}\n`,
      code.replaceAll('0', 'O').replaceAll('1', 'l'),
      code.replaceAll('0', 'o').replaceAll('1', 'I'),
      `${code.slice(0, 7)}--${code.slice(7)}`,
    ]) {
      assert.equal(parseCode(typed), code, typed);
    }
  }
});

test('every single wrong symbol and every swap of two is found', () => {
  for (let round = 0; round < 20; round += 1) {
    const symbols = newCode().slice(5).replaceAll('-', '').split('');
    for (let i = 0; i < symbols.length; i += 1) {
      for (const other of SYMBOLS) {
        if (other === symbols[i]) continue;
        assert.equal(parseCode(symbols.with(i, other).join('')), undefined);
      }
      for (let j = i + 1; j < symbols.length; j += 1) {
        if (symbols[i] === symbols[j]) continue;
        const swapped = symbols.with(i, symbols[j] ?? '').with(j, symbols[i] ?? '');
        assert.equal(parseCode(swapped.join('')), undefined);
      }
    }
  }
});

test('symbols of codes are evenly spread', () => {
  const counts = new Map<string, number>();
  const codes = 20_000;
  for (let i = 0; i < codes; i += 1) {
    const symbol = newCode()[5] ?? '';
    counts.set(symbol, (counts.get(symbol) ?? 0) + 1);
  }
  const expected = codes / 32;
  const chi = [...SYMBOLS].reduce(
    (sum, symbol) => sum + ((counts.get(symbol) ?? 0) - expected) ** 2 / expected,
    0,
  );
  // 31 degrees of freedom: above 80 once in 100,000 runs of a fair source
  assert.ok(chi < 80, `chi-square ${chi}`);
});

test('anything else is no code, and never throws', () => {
  for (const text of [
    '',
    'LUMS',
    '🙂'.repeat(16),
    '０１２３４５６７８９ＡＢＣＤＥＦ',
    'x'.repeat(10_000),
  ]) {
    assert.equal(parseCode(text), undefined);
    assert.equal(parseScan(text), undefined);
  }
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => parseCode(text) === undefined));
});

test('a scan is a code, a token, or a landing URL', () => {
  const code = newCode();
  const token = landingToken();
  assert.deepEqual(parseScan(code), { code, token: null, url: null });
  assert.deepEqual(parseScan(` ${token} `), { code: null, token, url: null });
  const url = `https://puntos.example.com/base/r/${token}`;
  assert.deepEqual(parseScan(url), { code: null, token, url });
  assert.deepEqual(parseScan(`${url}?lang=en`), { code: null, token, url });
  for (const other of [`${url}#x`, `${url}/`, `ftp://x/r/${token}`, `javascript:/r/${token}`]) {
    assert.equal(parseScan(other), undefined);
  }
  for (let i = 0; i < 1000; i += 1) assert.match(landingToken(), LANDING_TOKEN);
});

test('a merchant key is read back, and a mistyped one is refused', () => {
  const { api_key, key_id, secret } = newMerchantKey();
  assert.match(api_key, /^lmk_[0-9A-Za-z]{12}_[0-9A-Za-z]{38}$/);
  assert.deepEqual(parseMerchantKey(api_key), { key_id, secret });
  for (let i = 4; i < api_key.length; i += 1) {
    const wrong = api_key[i] === 'A' ? 'B' : 'A';
    const changed = api_key.slice(0, i) + wrong + api_key.slice(i + 1);
    if (api_key[i] !== '_') assert.equal(parseMerchantKey(changed), undefined, `at ${i}`);
  }
  for (const text of ['', 'l', api_key.slice(1), `${api_key}x`, 'x'.repeat(1_000_000)]) {
    assert.equal(parseMerchantKey(text), undefined);
  }
});

test('cursors come back as they were, and only to their own list', () => {
  const time = '2026-03-01T15:00:00.123456Z';
  const id = uuidV7();
  const cursor = encodeCursor('list', [time, id]);
  assert.deepEqual(decodeCursor('list', ['time', 'uuid'], cursor), [time, id]);
  assert.deepEqual(decodeCursor('list', ['time', 'uuid'], undefined), [null, null]);
  const refused = (list: string, text: string) =>
    assert.throws(() => decodeCursor(list, ['time', 'uuid'], text), Failure);
  refused('other', cursor);
  refused('list', encodeCursor('list', [time]));
  refused('list', encodeCursor('list', ['2026-13-45T15:00:00.123456Z', id]));
  fc.assert(fc.property(fc.string(), (text) => void refused('list', text)));
});

test('times keep their microseconds, whatever the zone of the session', () => {
  const utc = '2026-03-01T20:00:00.120000Z';
  assert.equal(isoTime('2026-03-01 15:00:00.12-05'), utc);
  assert.equal(isoTime('2026-03-01T15:00:00.12-05:00'), utc);
  assert.equal(isoTime('2026-03-02 01:30:00.12+05:30'), utc);
  assert.equal(isoTime('2026-03-01 20:00:00+00'), '2026-03-01T20:00:00.000000Z');
  assert.equal(isoTime('2026-03-01T20:00:00.12+00:00'), utc);
});

test('the language is the better of Spanish and English', () => {
  const cases: [string | undefined, string][] = [
    [undefined, 'es'],
    ['', 'es'],
    ['en', 'en'],
    ['en-US,en;q=0.9,es;q=0.8', 'en'],
    ['es-PA,en;q=0.9', 'es'],
    ['de,en;q=0.2', 'en'],
    ['fr', 'es'],
    ['en;q=0,es', 'es'],
    [',;=,,', 'es'],
  ];
  for (const [header, locale] of cases) assert.equal(localeOf(header), locale, header);
});
