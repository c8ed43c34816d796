import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { landingToken } from '../src/core/ids.ts';
import { newCode, parseCode } from '../src/redemptions/code.ts';
import { canonicalCode, pairingCode, readCode } from '../web/scanner/code.ts';
import { createHandScanner } from '../web/scanner/hid.ts';
import { createLock, LOCK_MS } from '../web/scanner/lock.ts';
import { createMemory, TRAY_MAX, TRAY_MS } from '../web/scanner/memory.ts';
import { type Failing, familyOf, type Verdict, verdictOf } from '../web/scanner/verdict.ts';
import { placeOf, sayVerdict } from '../web/scanner/verdict-words.ts';
import * as english from '../web/scanner/words-en.ts';
import * as spanish from '../web/scanner/words-es.ts';

const ORIGIN = 'https://lumis.example';
const SYMBOLS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

test('the scanner reads the codes that the server writes, however they are typed', () => {
  for (let i = 0; i < 200; i += 1) {
    const code = newCode();
    const bare = code.slice(5);
    for (const typed of [
      code,
      code.toLowerCase(),
      bare,
      bare.replaceAll('-', ''),
      `  ${code.replaceAll('-', ' ')}\n`,
      code.replaceAll('0', 'o').replaceAll('1', 'l'),
      code.replaceAll('-', '–'),
      code.replaceAll('-', "'"),
    ]) {
      const reading = readCode(typed, ORIGIN);
      assert.equal(reading.kind === 'redemption' && reading.send, code, typed);
    }
  }
});

test('it refuses before the network what the server would refuse: one wrong symbol, two swapped', () => {
  const symbol = fc.constantFrom(...SYMBOLS);
  fc.assert(
    fc.property(fc.array(symbol, { minLength: 14, maxLength: 18 }), (symbols) => {
      const text = symbols.join('');
      assert.equal(canonicalCode(text), parseCode(text));
    }),
  );
  const bare = newCode().slice(5).replaceAll('-', '');
  const next = SYMBOLS[(SYMBOLS.indexOf(bare[3] as string) + 1) % 32];
  const wrong = bare.slice(0, 3) + next + bare.slice(4);
  assert.deepEqual(readCode(wrong, ORIGIN), { kind: 'mistyped', symbols: 16 });
  assert.deepEqual(readCode('LUMS-1234', ORIGIN), { kind: 'mistyped', symbols: 4 });
});

test('a landing page of this site is its token, one of another site is left to the server', () => {
  const token = landingToken();
  const own = readCode(`${ORIGIN}/r/${token}?lang=en`, ORIGIN);
  assert.deepEqual(own, {
    kind: 'redemption',
    key: token,
    send: token,
    shown: `QR …${token.slice(-4)}`,
  });
  const other = readCode(`https://other.example/lumis/r/${token}?lang=en`, ORIGIN);
  assert.equal(other.kind === 'redemption' && other.send, `https://other.example/lumis/r/${token}`);
  assert.equal(other.kind === 'redemption' && other.key, token, 'one code to the lock');
});

test('what is no code of ours is told apart, and never followed', () => {
  const kinds = {
    'https://evil.example/': 'url',
    'https://lumis.example/wallet/': 'url',
    'https://lumis.example/r/short': 'url',
    'javascript:alert(1)': 'url',
    'WIFI:T:WPA;S:cafe;P:secret;;': 'url',
    'www.example.com/menu': 'url',
    'Feliz cumpleaños': 'other',
    '': 'other',
    ['A'.repeat(5000)]: 'other',
    '\u202eABC': 'other',
    [`${ORIGIN}/scan/#pair=lmp_0123456789abcdefABCDEF`]: 'pairing',
    lmp_0123456789abcdefABCDEF: 'pairing',
  };
  for (const [text, kind] of Object.entries(kinds)) assert.equal(readCode(text, ORIGIN).kind, kind);
  fc.assert(
    fc.property(fc.string(), (text) => {
      readCode(text, ORIGIN); // whatever a QR holds, it answers
    }),
  );
  assert.equal(pairingCode('#pair=lmp_0123456789abcdefABCDEF'), 'lmp_0123456789abcdefABCDEF');
  assert.equal(pairingCode('#pair=nothing'), undefined);
});

test('the same code waits three seconds after it was closed, another one does not wait', () => {
  let now = 0;
  const lock = createLock(() => now);
  assert.ok(lock.admits('a'));
  lock.closed('a');
  now = LOCK_MS - 1;
  assert.ok(!lock.admits('a'));
  assert.ok(lock.admits('b'));
  now = LOCK_MS;
  assert.ok(lock.admits('a'));
});

test('a hand scanner is told from a person by its speed', () => {
  const code = 'LUMS-7K4M-92QX';
  const type = (gapMs: number) => {
    const scanner = createHandScanner();
    let at = 1000;
    for (const key of code) {
      if (key >= 'A') scanner.press('Shift', at);
      scanner.press(key, at);
      at += gapMs;
    }
    return { text: scanner.press('Enter', at), at };
  };
  assert.equal(type(8).text, code);
  assert.equal(type(250).text, undefined);
  const scanner = createHandScanner();
  assert.equal(scanner.press('Enter', 5), undefined, 'Enter alone pushes buttons as always');
  for (const [i, key] of [...code].entries()) scanner.press(key, 1000 + i * 8);
  assert.ok(scanner.isTyping(1110));
  assert.ok(!scanner.isTyping(1500), 'a burst that was cut off does not block the keyboard');
});

test('memory survives what other hands and other versions wrote', () => {
  for (const rubbish of [undefined, null, 7, 'x', {}, [null, 1, 'x', {}, { key: 1 }]]) {
    const memory = createMemory({ read: () => rubbish, write: () => true });
    assert.deepEqual(memory.tray(0), []);
    assert.deepEqual(memory.pendings(), []);
    assert.deepEqual(memory.confirmedHere(), rubbish === undefined ? [] : memory.confirmedHere());
  }
});

test('the tray is bounded, forgets after a day, and says when nothing is kept', () => {
  const kept = new Map<string, unknown>();
  let isFull = false;
  const memory = createMemory({
    read: (name) => kept.get(name),
    write: (name, value) => {
      kept.set(name, value);
      return !isFull;
    },
  });
  const item = (key: string, read_at: number) => ({ key, send: key, shown: key, read_at });
  for (let i = 0; i < TRAY_MAX + 10; i += 1) memory.put(item(`code ${i}`, 1000));
  memory.put(item('code 59', 1000));
  assert.equal(memory.tray(1000).length, TRAY_MAX);
  assert.equal(memory.tray(1000)[0]?.key, 'code 59');
  assert.equal(memory.tray(1000 + TRAY_MS).length, 0);
  assert.ok(memory.isKept());
  isFull = true;
  memory.put(item('late', 1000));
  assert.ok(!memory.isKept());
  assert.equal(memory.tray(1000)[0]?.key, 'late', 'it still works while the page lives');
});

const NOW = Date.parse('2026-11-22T21:00:00Z');
const refused = (code: string, problem = {}): Failing => ({
  code,
  status: 409,
  isAnswered: true,
  problem,
});

test('every refusal is a verdict of the right family', () => {
  const families: [Failing, string, string][] = [
    [refused('already_redeemed', { redeemed_at: '2026-11-22T15:42:00Z' }), 'used', 'stop'],
    [refused('expired', { expired_at: '2026-11-22T20:00:00Z' }), 'expired', 'stop'],
    [refused('cancelled'), 'cancelled', 'stop'],
    [refused('reversed'), 'reversed', 'stop'],
    [refused('wrong_branch'), 'wrong_branch', 'stop'],
    [{ code: 'unknown_code', status: 404, isAnswered: true }, 'unknown', 'stop'],
    [{ code: 'rate_limited', status: 429, isAnswered: true }, 'too_many', 'unsure'],
    [{ code: 'internal', status: 500, isAnswered: false }, 'no_answer', 'unsure'],
    [{ code: 'offline', status: 0, isAnswered: false }, 'offline', 'unsure'],
    [{ code: 'timeout', status: 0, isAnswered: false }, 'no_answer', 'unsure'],
    [{ code: 'new_in_2030', status: 409, isAnswered: true }, 'server', 'unsure'],
  ];
  for (const [failing, kind, family] of families) {
    const verdict = verdictOf(failing, NOW, []);
    assert.equal(verdict.kind, kind, failing.code);
    assert.equal(familyOf(verdict), family, failing.code);
  }
});

test('what this phone confirmed moments ago is said so, and only for ten minutes', () => {
  const at = '2026-11-22T20:59:48.123456Z';
  const used = refused('already_redeemed', { redeemed_at: at });
  assert.deepEqual(verdictOf(used, NOW, [at]), { kind: 'used_here', seconds: 12 });
  assert.equal(verdictOf(used, NOW, []).kind, 'used', 'another phone did');
  assert.equal(verdictOf(used, NOW + 3_600_000, [at]).kind, 'used');
});

test('every verdict has words in both languages, and only what is confirmed says to hand over', () => {
  const redemption = {
    redemption_id: 'x',
    offer_name: 'Café',
    lumis_spent: 1,
    code_expires_at: '2026-11-22T21:14:30Z',
    validated_at: '2026-11-22T20:59:48Z',
  };
  const pending = { ...redemption, key: 'k', shown: 's', began_at: NOW };
  const verdicts: Verdict[] = [
    { kind: 'valid', redemption },
    { kind: 'valid', redemption, notice: 'offline' },
    { kind: 'valid', redemption, wait_until: NOW + 3000 },
    { kind: 'confirming', redemption, is_slow: false },
    { kind: 'confirmed', redemption },
    { kind: 'unsure', pending, is_checking: true },
    { kind: 'used', redeemed_at: '2026-11-22T15:42:00Z', redeemed_branch: 'Norte' },
    { kind: 'used' },
    { kind: 'used_here', seconds: 12 },
    { kind: 'expired', expired_at: '2026-11-21T15:42:00Z' },
    { kind: 'expired' },
    ...(
      ['cancelled', 'reversed', 'wrong_branch', 'unknown', 'not_ours', 'for_pairing'] as const
    ).map((kind) => ({ kind })),
    ...(['offline', 'no_answer', 'server'] as const).map((kind) => ({ kind })),
    { kind: 'too_many', wait_until: NOW + 7000 },
  ];
  for (const [locale, words, no] of [
    ['es', spanish, /no entregues|espera|demasiados|confirma para|confirmando/i],
    ['en', english, /don’t hand|wait|confirm to|confirming/i],
  ] as const) {
    const place = placeOf(locale, 'America/Panama', NOW);
    for (const verdict of verdicts) {
      const said = sayVerdict(verdict, words.verdicts, place);
      assert.ok(said.title && said.order, verdict.kind);
      assert.equal(no.test(said.order), verdict.kind !== 'confirmed', `${locale} ${verdict.kind}`);
    }
    const used = verdicts[6] as Verdict;
    assert.match(sayVerdict(used, words.verdicts, place).body ?? '', /10:42.*Norte/);
  }
});
