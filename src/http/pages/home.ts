import type { Locale } from '../locale.ts';
import { html, type Markup, page } from './layout.ts';
import { WORDS, type Words } from './words.ts';

/** What the front page may link to. Only what this server really answers belongs in the list. */
export interface HomeLink {
  href: string;
  name: keyof Words['home']['links'];
}

export interface HomePageOptions {
  locale: Locale;
  version: string;
  /** the database holds invented data */
  demo: boolean;
  links: readonly HomeLink[];
}

/** The links of a server that runs the API. */
export const HOME_LINKS: readonly HomeLink[] = [
  { href: '/docs', name: 'docs' },
  { href: '/openapi.json', name: 'openapi' },
  { href: '/healthz', name: 'healthz' },
  { href: '/readyz', name: 'readyz' },
  { href: '/metrics', name: 'metrics' },
];

const AUDIENCES: { [name in keyof Words['home']['audiences']]: readonly HomeLink['name'][] } = {
  member: [],
  merchant: [],
  admin: [],
  integrator: ['docs', 'openapi'],
  operator: ['healthz', 'readyz', 'metrics'],
};

/** The front page: what runs here, and where each kind of visitor goes. */
export function homePage({ locale, version, demo, links }: HomePageOptions): string {
  const words = WORDS[locale].home;
  const names = Object.keys(AUDIENCES) as (keyof typeof AUDIENCES)[];
  return page({
    kind: 'home',
    locale,
    path: '/',
    title: `${words.title} · Lümis`,
    description: words.lead,
    main: html`<div class="intro">
<h1>${words.title}</h1>
<p class="lead">${words.lead}</p>
</div>
${demo ? demoNote(words) : undefined}
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

function demoNote(words: Words['home']): Markup {
  return html`<section class="note">
<h2>${words.demo.title}</h2>
<p>${words.demo.text}</p>
</section>`;
}

function card(
  name: keyof typeof AUDIENCES,
  words: Words['home'],
  links: readonly HomeLink[],
): Markup {
  const { title, text } = words.audiences[name];
  const own = links.filter((link) => AUDIENCES[name].includes(link.name));
  const items = own.map(
    (link) =>
      html`<li><a href="${link.href}">${words.links[link.name]}</a>
<code>${link.href}</code></li>\n`,
  );
  return html`<section class="card">
<h3>${title}</h3>
<p>${text}</p>
${items.length === 0 ? undefined : html`<ul role="list">\n${items}</ul>\n`}</section>
`;
}
