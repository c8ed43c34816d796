import { html, type Markup, page } from './layout.ts';
import type { Visit } from './visit.ts';
import { WORDS, type Words } from './words.ts';

/** What the front page may link to. Only what this server really answers belongs in the list. */
export interface HomeLink {
  href: string;
  name: keyof Words['home']['links'];
}

export interface HomePageOptions extends Visit {
  version: string;
  /** the database holds invented data */
  demo: boolean;
  links: readonly HomeLink[];
  /** where a phone gets the authority's certificate, when this server speaks with one of its own */
  certificateUrl?: string | undefined;
}

/** The links of a server that runs the API. */
export const HOME_LINKS: readonly HomeLink[] = [
  { href: '/docs', name: 'docs' },
  { href: '/openapi.json', name: 'openapi' },
  { href: '/healthz', name: 'healthz' },
  { href: '/readyz', name: 'readyz' },
  { href: '/metrics', name: 'metrics' },
];

/** The links of a server that serves the apps too. */
export const APP_LINKS: readonly HomeLink[] = [
  { href: '/wallet/', name: 'wallet' },
  { href: '/scan/', name: 'scanner' },
];

const APPS: readonly string[] = APP_LINKS.map(({ name }) => name);

const AUDIENCES: { [name in keyof Words['home']['audiences']]: readonly HomeLink['name'][] } = {
  member: ['wallet'],
  merchant: ['scanner'],
  admin: ['docs'],
  integrator: ['docs', 'openapi'],
  operator: ['healthz', 'readyz', 'metrics'],
};

/** The front page: what runs here, and where each kind of visitor goes. */
export function homePage(options: HomePageOptions): string {
  const { version, demo, links, certificateUrl, ...visit } = options;
  const words = WORDS[visit.locale].home;
  const names = Object.keys(AUDIENCES) as (keyof typeof AUDIENCES)[];
  const hasApps = links.some(({ name }) => APPS.includes(name));
  return page({
    ...visit,
    kind: 'home',
    title: `${words.title} · Lümis`,
    description: words.lead,
    main: html`<div class="intro">
<h1>${words.title}</h1>
<p class="lead">${words.lead}</p>
</div>
${demo ? demoNote(words, hasApps) : undefined}
${certificateUrl === undefined ? undefined : certificateNote(words, certificateUrl)}
<section>
<h2>${words.stepsTitle}</h2>
<ol class="steps" role="list">
${words.steps.map((step) => html`<li>${step}</li>\n`)}</ol>
</section>
<section>
<h2>${words.whereTitle}</h2>
<div class="cards">
${names.map((name) => card(name, words, links))}</div>
</section>`,
    footer: html`<p>Lümis, ${words.version} ${version}</p>`,
  });
}

function demoNote({ demo }: Words['home'], hasApps: boolean): Markup {
  return html`<section class="note">
<h2>${demo.title}</h2>
<p>${demo.text}</p>
${hasApps ? html`<p>${demo.apps} <code>npm start -- --lan</code></p>` : undefined}
</section>`;
}

function certificateNote({ certificate }: Words['home'], href: string): Markup {
  return html`<section class="note">
<h2>${certificate.title}</h2>
<p>${certificate.text}</p>
<p><a class="line" href="${href}">${certificate.link}</a></p>
</section>`;
}

function card(
  name: keyof typeof AUDIENCES,
  words: Words['home'],
  links: readonly HomeLink[],
): Markup {
  const { title, text } = words.audiences[name];
  const own = links.filter((link) => AUDIENCES[name].includes(link.name));
  const app = own.find((link) => APPS.includes(link.name));
  const items = own
    .filter((link) => link !== app)
    .map(
      (link) =>
        html`<li><a href="${link.href}">${words.links[link.name]}</a>
<code>${link.href}</code></li>\n`,
    );
  const said = app && name in words.withApps ? words.withApps[name as 'member'] : text;
  // gold is for the one thing most visitors come for
  const look = app?.name === 'wallet' ? 'button' : 'quiet button';
  return html`<section class="card">
<h3>${title}</h3>
<p>${said}</p>
${app && html`<a class="${look}" href="${app.href}">${words.links[app.name]}</a>\n`}
${items.length === 0 ? undefined : html`<ul role="list">\n${items}</ul>\n`}</section>
`;
}
