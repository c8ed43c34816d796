import { qrSvg } from '../../core/qr.ts';
import type { Landing } from '../../redemptions/landing.ts';
import { html, type Markup, page } from './layout.ts';
import type { Visit } from './visit.ts';
import { WORDS, type Words } from './words.ts';

export interface LandingPageOptions extends Visit {
  /** undefined: the token leads nowhere */
  landing: Landing | undefined;
  /** the business's, in which the dates are written */
  timeZone: string;
  /** the page's own address, which its QR holds: it says no more than what the visitor has */
  url: string;
  walletUrl?: string | undefined;
  scannerUrl?: string | undefined;
}

/**
 * The page behind a QR, for whoever opens it with a phone's camera. Never green, whatever the
 * state: a cashier who sees a tick here would hand over without confirming.
 */
export function landingPage(options: LandingPageOptions): { html: string; status: number } {
  const { landing, locale, isChosen, path, walletUrl } = options;
  const words = WORDS[locale].landing;
  const state = landing?.state ?? 'unknown';
  const verdict = words.verdict[state];
  const look = state === 'pending' ? 'open' : state === 'unknown' ? 'unknown' : 'closed';
  const staff = words.staff[look];
  const name = landing ? (landing.offer_name ?? words.unnamedOffer) : verdict.title;
  const main = html`<article class="ticket ${look}">
<div class="verdict">
${SHAPES[look]}
<h1>${verdict.title}</h1>
<p>${verdict.order}</p>
</div>
${landing && stub(landing, options)}</article>
${walletUrl === undefined ? undefined : button('button', walletUrl, words.wallet)}
<section class="note">
<h2>${words.staff.title}</h2>
<p><strong>${staff.order}</strong> ${staff.rest}</p>
${staffLink(options, words.staff.scanner)}
</section>`;
  return {
    status: landing ? 200 : 404,
    html: page({
      kind: 'landing',
      locale,
      isChosen,
      path,
      title: `${name} · Lümis`,
      description: words.about,
      main,
      footer: html`<p>${words.privacy}</p>`,
    }),
  };
}

/** The cashier's way into the scanner, which finds behind the `#` what to verify. */
function staffLink({ landing, scannerUrl, url }: LandingPageOptions, text: string) {
  if (scannerUrl === undefined) return undefined;
  const [token] = url.split('/').slice(-1);
  return button('quiet button', landing ? `${scannerUrl}#code=${token}` : scannerUrl, text);
}

const button = (look: string, href: string, text: string) =>
  html`<a class="${look}" href="${href}">${text}</a>`;

/** What the redemption is, where it is valid and until when. */
function stub(landing: Landing, { locale, timeZone, url }: LandingPageOptions): Markup {
  const { landing: words, tag } = WORDS[locale];
  const open = landing.state === 'pending';
  const merchant = landing.merchant_name;
  return html`<div class="stub">
${open ? html`<div class="qr" role="img" aria-label="${words.qr}">${{ markup: qrSvg(url) }}</div>` : undefined}
<h2><bdi>${landing.offer_name ?? words.unnamedOffer}</bdi></h2>
<dl>
${fact(
  open ? words.where.open : words.where.closed,
  merchant === null ? html`${words.anyMerchant}` : html`<bdi>${merchant}</bdi>`,
)}
${when(landing, words, tag, timeZone)}
${open ? fact(words.whoScans, html`${words.whoScansText}`) : undefined}
</dl>
</div>
`;
}

/** The moment that matters in this state: when it was used, or until when it can or could be. */
function when(landing: Landing, words: Words['landing'], tag: string, timeZone: string) {
  if (landing.state === 'confirmed' && landing.validated_at !== null) {
    return fact(words.usedAt, moment(landing.validated_at, tag, timeZone));
  }
  const { open, closed, expired } = words.until;
  const label = landing.state === 'pending' ? open : landing.state === 'expired' ? expired : closed;
  return fact(label, moment(landing.code_expires_at, tag, timeZone));
}

function fact(label: string, value: Markup | undefined): Markup | undefined {
  return value && html`<div><dt>${label}</dt><dd>${value}</dd></div>`;
}

/** A date and a time with the zone's name; undefined for PostgreSQL's infinity. */
function moment(iso: string, tag: string, timeZone: string): Markup | undefined {
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return undefined;
  // the month is spelled: 11/12 is another day to a visitor from the north
  const day = new Intl.DateTimeFormat(tag, {
    timeZone,
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
  }).format(at);
  const parts = new Intl.DateTimeFormat(tag, {
    timeZone,
    hour: 'numeric',
    minute: '2-digit',
    hour12: true,
    timeZoneName: 'shortGeneric',
  }).formatToParts(at);
  const zone = parts.find((part) => part.type === 'timeZoneName')?.value ?? timeZone;
  const clock = parts.map((part) => (part.type === 'timeZoneName' ? '' : part.value)).join('');
  return html`<time datetime="${at.toISOString()}">${day}<br>
${clock.trim()} <small>(${zone})</small></time>`;
}

const icon = (shape: Markup) => html`<svg class="shape" viewBox="0 0 48 48" width="64" height="64"
 fill="none" stroke="currentColor" stroke-width="3.5" stroke-linecap="round"
 stroke-linejoin="round" aria-hidden="true">${shape}</svg>`;

// shapes carry the meaning together with the colour: diamond, something is left to do; octagon and
// cross, do not hand over; circle, not known
export const SHAPES = {
  open: icon(html`<path d="M24 3 45 24 24 45 3 24zM15 24h18m-7-7 7 7-7 7"/>`),
  closed: icon(html`<path d="M16 3h16l13 13v16L32 45H16L3 32V16zM17 17l14 14m0-14L17 31"/>`),
  unknown: icon(html`<circle cx="24" cy="24" r="21"/><path d="M24 13v13m0 8v.5"/>`),
};
