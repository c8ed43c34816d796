import assert from 'node:assert/strict';
import { test } from 'node:test';
import { qrSvg } from '../src/core/qr.ts';
import type { Locale } from '../src/http/locale.ts';
import { faultPage } from '../src/http/pages/fault.ts';
import { APP_LINKS, HOME_LINKS, homePage } from '../src/http/pages/home.ts';
import { landingPage } from '../src/http/pages/landing.ts';
import { ICON_SVG, PAGE_CSS } from '../src/http/pages/style.ts';
import { WORDS } from '../src/http/pages/words.ts';
import type { Landing } from '../src/redemptions/landing.ts';

const STATES = ['pending', 'confirmed', 'cancelled', 'reversed', 'expired'] as const;
const URL_TEXT = 'https://puntos.example/r/AAAAAAAAAAAAAAAAAAAAAA';
const FAULTS = ['not_found', 'unreadable', 'rate_limited', 'overloaded', 'internal'] as const;
const LOCALES: Locale[] = ['es', 'en'];
const SECRETS = {
  redemption_code: 'LUMS-7K4M-92QX-H3TD-0PVB',
  user_id: '987654321',
  redemption_id: '0199a0c4-7c1e-7e52-9d1f-2f6f6f0f1f2f',
};

function landing(changes: Partial<Landing> = {}): Landing {
  const used = changes.state === 'confirmed' || changes.state === 'reversed';
  return {
    ...SECRETS,
    offer_name: 'Café gratis',
    merchant_name: 'Café Sur',
    state: 'pending',
    code_expires_at: '2026-11-22T21:30:00.123456Z',
    validated_at: used ? '2026-11-21T03:05:00.000000Z' : null,
    ...changes,
  } as Landing;
}

function show(of: Landing | undefined, locale: Locale, more: object = {}) {
  const visit = { locale, isChosen: false, path: '/r/token' };
  const options = { landing: of, timeZone: 'America/Panama', url: URL_TEXT, ...visit };
  return landingPage({ ...options, ...more });
}

function home(locale: Locale, more: object = {}) {
  const visit = { locale, isChosen: false, path: '/' };
  return homePage({ ...visit, version: '1.2.3', demo: false, links: HOME_LINKS, ...more });
}

/** Every page there is: each state and the unknown one, and the home page, in both languages. */
function* pages(): Generator<{ locale: Locale; name: string; html: string }> {
  for (const locale of LOCALES) {
    for (const state of STATES) {
      yield { locale, name: `${state} ${locale}`, html: show(landing({ state }), locale).html };
    }
    yield { locale, name: `unknown ${locale}`, html: show(undefined, locale).html };
    for (const kind of FAULTS) {
      const visit = { locale, isChosen: false, path: '/r/token' };
      const html = faultPage({ ...visit, kind, retryAfterSeconds: 7, requestId: 'id-1' });
      yield { locale, name: `${kind} ${locale}`, html };
    }
    for (const demo of [true, false]) {
      const apps = demo ? APP_LINKS : [];
      const certificateUrl = demo ? '/lumis-ca.crt' : undefined;
      const html = home(locale, { demo, links: [...apps, ...HOME_LINKS], certificateUrl });
      yield { locale, name: `home ${locale}`, html };
    }
  }
}

const tags = (html: string) => html.match(/<[^>]*>/g) ?? [];

/** What a reader sees: tags gone, spaces of every width made plain. */
function textOf(html: string): string {
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
  return html
    .replace(/<[^>]*>/g, ' ')
    .replace(/&(amp|lt|gt|quot|#39);/g, (_, name) => entities[name] as string)
    .replace(/\s+/g, ' ');
}

for (const locale of LOCALES) {
  for (const state of STATES) {
    test(`landing, ${state}, ${locale}: what it is, where, when, and what to do`, () => {
      const { html, status } = show(landing({ state }), locale);
      const text = textOf(html);
      const words = WORDS[locale].landing;
      assert.equal(status, 200);
      assert.match(html, new RegExp(`<h1>${words.verdict[state].title}</h1>`));
      for (const part of [words.verdict[state].order, 'Café gratis', 'Café Sur']) {
        assert.ok(text.includes(part), part);
      }
      assert.equal(text.includes(words.whoScans), state === 'pending');
      assert.ok(text.includes(words.staff[state === 'pending' ? 'open' : 'closed'].order));
      const day = {
        es: ['viernes, 20 de', 'domingo, 22 de'],
        en: ['Friday, 20 N', 'Sunday, 22 N'],
      };
      assert.ok(text.includes(day[locale][state === 'confirmed' ? 0 : 1] as string));
      assert.match(text, state === 'confirmed' ? /10:05 p\.? ?m/ : /4:30 p\.? ?m/);
      assert.match(text, locale === 'es' ? /\(hora de Panamá\)/ : /\(Panama Time\)/);
    });
  }

  test(`landing, unknown, ${locale}: the same page, 404, and no facts`, () => {
    const { html, status } = show(undefined, locale);
    assert.equal(status, 404);
    assert.ok(html.includes(`<h1>${WORDS[locale].landing.verdict.unknown.title}</h1>`));
    assert.doesNotMatch(html, /<dl>|<time|Café/);
  });
}

test('every page is complete, in its language, and without script or inline style', () => {
  for (const { locale, name, html } of pages()) {
    assert.ok(html.startsWith('<!doctype html>\n'), name);
    assert.ok(html.includes(`<html lang="${locale}">`), name);
    const other = locale === 'es' ? 'en' : 'es';
    assert.match(html, new RegExp(`href="/[a-z/]*\\?lang=${other}" hreflang="${other}"\\s`), name);
    assert.match(html, /<meta name="robots" content="noindex, nofollow">/, name);
    assert.match(html, /<meta name="referrer" content="no-referrer">/, name);
    assert.equal(html.match(/<h1>/g)?.length, 1, name);
    assert.equal(html.match(/<main id="main" /g)?.length, 1, name);
    assert.ok(html.indexOf('href="#main"') < html.indexOf('<header'), name);
    assert.doesNotMatch(html, /<script|<style|<iframe|<form|\sstyle=|\son\w+=|javascript:/i, name);
    assert.doesNotMatch(html, /undefined|\[object|NaN/, name);
    for (const [, url] of html.matchAll(/(?:src|href)="([^"]*)"/g))
      assert.match(url ?? '', /^(\/(?!\/)|#main$)/);
    assert.ok(Buffer.byteLength(html) < 14 * 1024, `${name}: ${html.length}`);
    assertNested(html, name);
  }
});

test('the code and the member never reach the page, nor does a colour that says deliver', () => {
  for (const { name, html } of pages()) {
    for (const secret of Object.values(SECRETS)) assert.ok(!html.includes(secret), name);
    assert.doesNotMatch(html, /class="[^"]*(deliver|valid|ok)\b/, name);
  }
  assert.doesNotMatch(PAGE_CSS, /#0b6b3a|#e2f4e8|#7fdba4/i);
});

const HOSTILE = [
  '<script>alert(1)</script>',
  '</h2></div><script src=//evil.example></script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '</title><script>alert(1)</script>',
  '<!-- ',
  '--><b>',
  ']]><svg/onload=alert(1)>',
  '<style>*{display:none}</style>',
  '<a href="javascript:alert(1)">gratis</a>',
  '&lt;script&gt;',
  '&#x3c;script&#x3e;',
  '<bdi></bdi></bdi></bdi>',
  '{{7*7}} <%= 1 %>',
  '\u202Esitarg éfaC\u202C',
  '\u2066\u2067\u2068 isolate',
  'a\u0000b\u0007c\u001b[31md\u009f',
  '=HYPERLINK("https://evil.example")',
  '<meta http-equiv="refresh" content="0;url=//evil.example">',
  `<${'b'.repeat(5000)}>`,
  '\ud800 lone \udfff',
  "$& $1 $` $' <i>",
];

test('no name of an offer or a merchant changes the page around it', () => {
  for (const locale of LOCALES) {
    const plain = show(landing(), locale).html;
    for (const name of HOSTILE) {
      const { html } = show(landing({ offer_name: name, merchant_name: name }), locale);
      assert.deepEqual(tags(html), tags(plain), name);
      assert.doesNotMatch(html, /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/u);
      if (/^[\x20-\x7e]+$/.test(name)) {
        assert.equal(textOf(html).split(name.replace(/\s+/g, ' ').trim()).length - 1, 3, name);
      }
    }
  }
});

test('no path leads the language switch out of this server', () => {
  for (const path of ['//evil.example', '/\\evil.example', 'https://evil.example/', '"><script>']) {
    const { html } = show(landing(), 'es', { path });
    const [, href] = /class="switch" href="([^"]*)"/.exec(html) ?? [];
    const url = new URL(href ?? '', 'http://here.example');
    assert.equal(url.host, 'here.example', path);
    assert.equal(url.searchParams.get('lang'), 'en');
    assert.deepEqual(tags(html).length, tags(show(landing(), 'es').html).length);
  }
  const { html } = show(landing(), 'es', { path: '/r/token?lang=es#x' });
  assert.ok(html.includes('href="/r/token?lang=en"'));
});

test('what a redemption does not have is said in words or left out', () => {
  const none = landing({ offer_name: null, merchant_name: null, code_expires_at: 'infinity' });
  for (const locale of LOCALES) {
    const words = WORDS[locale].landing;
    const text = textOf(show(none, locale).html);
    assert.ok(text.includes(words.unnamedOffer) && text.includes(words.anyMerchant));
    assert.ok(!text.includes(words.until.open));
  }
});

test('times are those of the business', () => {
  const text = textOf(show(landing(), 'es', { timeZone: 'Europe/Madrid' }).html);
  assert.match(text, /10:30 p/);
  const { html } = show(landing(), 'es', { timeZone: 'Asia/Tokyo' });
  assert.match(textOf(html), /lunes, 23 de noviembre de 2026 6:30 a/);
  assert.match(html, /<time datetime="2026-11-22T21:30:00\.123Z">/);
});

test('the apps are offered only where they are', () => {
  for (const state of [...STATES, undefined]) {
    const of = state && landing({ state });
    assert.doesNotMatch(show(of, 'es').html, /class="[^"]*button"/);
    const { html } = show(of, 'es', { walletUrl: '/wallet/?a=1&b="2"', scannerUrl: '/scan/' });
    assert.match(html, /class="button" href="\/wallet\/\?a=1&amp;b=&quot;2&quot;"/);
    const [, href] = /class="quiet button" href="([^"]*)">Abrir el lector</.exec(html) ?? [];
    assert.equal(href, of ? `/scan/#code=${URL_TEXT.split('/').at(-1)}` : '/scan/');
  }
});

test('a QR of the page itself is drawn while it can be used, and only then', () => {
  for (const state of STATES) {
    const { html } = show(landing({ state }), 'es');
    assert.equal(html.includes(qrSvg(URL_TEXT)), state === 'pending', state);
    assert.equal(html.includes('role="img"'), state === 'pending', state);
  }
  assert.ok(!show(undefined, 'es').html.includes('role="img"'));
});

test('the chosen language goes along to the front page, and to another try', () => {
  for (const locale of LOCALES) {
    assert.ok(show(landing(), locale).html.includes('class="brand" href="/"'));
    const chosen = show(landing(), locale, { isChosen: true }).html;
    assert.ok(chosen.includes(`class="brand" href="/?lang=${locale}"`));
    const visit = { locale, isChosen: true, path: '/r/x', retryAfterSeconds: 3 };
    const again = faultPage({ ...visit, kind: 'overloaded' });
    assert.ok(again.includes(`class="button" href="/r/x?lang=${locale}"`));
    assert.ok(faultPage({ ...visit, kind: 'not_found' }).includes(`href="/?lang=${locale}"`));
  }
});

test('a fault says how long to wait, and to a cashier not to hand over', () => {
  for (const locale of LOCALES) {
    const words = WORDS[locale];
    for (const kind of FAULTS) {
      const visit = { locale, isChosen: false, retryAfterSeconds: 42 };
      const text = textOf(faultPage({ ...visit, kind, path: '/r/x' }));
      assert.ok(text.includes(words.landing.staff.open.order), kind);
      assert.equal(text.includes('42 s'), !['not_found', 'unreadable'].includes(kind), kind);
      assert.ok(!text.includes('{n}') && !text.includes(words.fault.reference));
      const elsewhere = textOf(faultPage({ ...visit, kind, path: '/x', requestId: 'abc' }));
      assert.ok(!elsewhere.includes(words.landing.staff.title));
      assert.ok(elsewhere.includes(`${words.fault.reference} abc`));
    }
  }
});

test('the home page links what it is given and nothing else', () => {
  for (const locale of LOCALES) {
    const words = WORDS[locale].home;
    const all = home(locale, { links: [...APP_LINKS, ...HOME_LINKS] });
    for (const { href, name } of [...APP_LINKS, ...HOME_LINKS]) {
      assert.ok(all.includes(`href="${href}">${words.links[name]}</a>`), name);
    }
    assert.ok(all.includes('1.2.3') && textOf(all).includes(words.withApps.member));
    assert.ok(!all.includes(words.demo.text) && !all.includes('lumis-ca'));
    const bare = home(locale, { version: '<1>', demo: true, links: [] });
    assert.deepEqual(bare.match(/<a [^>]*>/g)?.length, 3); // skip, front page, language
    assert.ok(bare.includes(words.demo.text) && bare.includes('&lt;1&gt;'));
    assert.ok(!bare.includes('--lan') && textOf(bare).includes(words.audiences.member.text));
    for (const { title } of Object.values(words.audiences)) {
      assert.ok(bare.includes(`<h3>${title}</h3>`), title);
    }
    const phones = home(locale, { demo: true, links: APP_LINKS, certificateUrl: '/ca.crt' });
    assert.ok(phones.includes('--lan') && phones.includes('href="/ca.crt"'));
  }
});

test('both languages say everything, each in its own words', () => {
  const leaves = (value: object): string[] =>
    Object.values(value).flatMap((part) => (typeof part === 'object' ? leaves(part) : [part]));
  const [es, en] = [leaves(WORDS.es), leaves(WORDS.en)];
  assert.equal(es.length, en.length);
  es.forEach((word, index) => {
    assert.ok(word.trim() !== '' && word !== en[index], word);
  });
});

test('the style and the mark fetch nothing, and every class of the pages has a style', () => {
  assert.doesNotMatch(PAGE_CSS, /url\(|@import|expression|<\//);
  assert.doesNotMatch(ICON_SVG, /<script|<style|style=|href|url\(/);
  assert.equal((PAGE_CSS.match(/{/g) ?? []).length, (PAGE_CSS.match(/}/g) ?? []).length);
  for (const { html } of pages()) {
    for (const [, names = ''] of html.matchAll(/class="([^"]*)"/g)) {
      for (const name of names.split(' ')) {
        if (name !== 'landing') assert.ok(PAGE_CSS.includes(`.${name}`), name);
      }
    }
  }
});

test('text has contrast enough in light and in dark', () => {
  const [light = '', dark = ''] = PAGE_CSS.match(/:root \{[^}]*\}/g) ?? [];
  for (const block of [light, light + dark]) {
    const colour = Object.fromEntries(
      [...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]),
    ) as Record<string, string>;
    const pairs = [
      ...['ink', 'muted', 'link', 'focus'].flatMap((name) => [
        [name, 'bg'],
        [name, 'surface'],
      ]),
      ...['open', 'closed', 'unknown'].flatMap((name) => [
        [name, `${name}-chip`],
        ['ink', `${name}-chip`],
      ]),
      ['on-gold', 'gold'],
      ['on-gold', 'gold-hover'],
    ];
    for (const [front = '', back = ''] of pairs) {
      const ratio = contrast(colour[front] ?? '', colour[back] ?? '');
      assert.ok(ratio >= 4.5, `${front} on ${back}: ${ratio.toFixed(2)}`);
    }
  }
});

/** Contrast of two colours as WCAG 2 computes it. */
function contrast(one: string, two: string): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(two)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

const VOID = new Set(['meta', 'link', 'img', 'br', '!doctype']);

/** Each element that is opened is closed, in order. */
function assertNested(html: string, name: string): void {
  const open: string[] = [];
  for (const [tag, closing, element = ''] of html.matchAll(/<(\/?)(!?[a-z][a-z0-9]*)[^>]*>/g)) {
    if (VOID.has(element) || tag.endsWith('/>')) continue;
    if (closing === '') open.push(element);
    else assert.equal(open.pop(), element, `${name}: ${tag}`);
  }
  assert.deepEqual(open, [], name);
}
