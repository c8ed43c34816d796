import type { Visit } from './visit.ts';
import { WORDS } from './words.ts';

/** Markup that is ready to be sent, as opposed to text, which is escaped first. */
export interface Markup {
  readonly markup: string;
}

type Value = string | number | Markup | readonly Markup[] | undefined;

/**
 * A template whose values are escaped unless they are markup themselves; undefined leaves nothing.
 * Attribute values must be quoted.
 */
export function html(parts: TemplateStringsArray, ...values: Value[]): Markup {
  let markup = parts[0] as string;
  values.forEach((value, index) => {
    markup += render(value) + (parts[index + 1] as string);
  });
  return { markup };
}

function render(value: Value): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return escapeHtml(value);
  if (typeof value === 'number') return String(value);
  return 'markup' in value ? value.markup : value.map((part) => part.markup).join('');
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

// Control characters are forbidden in HTML, and the bidirectional ones could turn around the text
// of the page beside a name. Names that need right-to-left text are in <bdi> and get it without.
const FORBIDDEN = /[^\P{Cc}\t\n]|[\u202a-\u202e\u2066-\u2069]/gu;

function escapeHtml(text: string): string {
  return text.replace(FORBIDDEN, '').replace(/[&<>"']/g, (char) => ENTITIES[char] as string);
}

/** What every page is wrapped in. */
export interface Page extends Visit {
  /** which page it is, for the style */
  kind: 'landing' | 'home';
  title: string;
  description: string;
  main: Markup;
  footer: Markup;
}

/** A complete page: no script, no inline style, nothing from elsewhere. */
export function page(options: Page): string {
  const { kind, locale, isChosen, path, title, description, main, footer } = options;
  const { otherLanguage: other, skip, front } = WORDS[locale];
  return html`<!doctype html>
<html lang="${locale}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<meta name="description" content="${description}">
<meta name="robots" content="noindex, nofollow">
<meta name="referrer" content="no-referrer">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no">
<meta name="color-scheme" content="light dark">
<meta name="theme-color" content="#fffbf2" media="(prefers-color-scheme: light)">
<meta name="theme-color" content="#17120b" media="(prefers-color-scheme: dark)">
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/page.css">
</head>
<body class="${kind}">
<a class="skip" href="#main">${skip}</a>
<header class="top">
<a class="brand" href="${isChosen ? `/?lang=${locale}` : '/'}" aria-label="${front}"><img
 src="/assets/icon.svg" alt="" width="36" height="36">Lümis</a>
<a class="switch" href="${ownPath(path)}?lang=${other.locale}" hreflang="${other.locale}"
 lang="${other.locale}">${other.name}</a>
</header>
<main id="main" tabindex="-1">
${main}
</main>
<footer>
${footer}
</footer>
</body>
</html>
`.markup;
}

/** Without its query, and never `//host`, which a browser would follow out of this server. */
export function ownPath(path: string): string {
  const [plain = ''] = path.split(/[?#]/);
  return `/${plain.replace(/^[/\\]+/, '')}`;
}
