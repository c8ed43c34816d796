/** The mark: a u whose two dots are sparks. Served as /assets/icon.svg. */
export const ICON_SVG =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">' +
  '<rect width="64" height="64" rx="16" fill="#ffc53d"/>' +
  '<g fill="#241a0e"><circle cx="24" cy="14.5" r="4.25"/><circle cx="40" cy="14.5" r="4.25"/></g>' +
  '<path d="M18.5 26v12.5a13.5 13.5 0 0 0 27 0V26" fill="none" stroke="#241a0e"' +
  ' stroke-width="7.5" stroke-linecap="round"/></svg>';

/** The style of every page the server renders. Served as /assets/page.css. */
export const PAGE_CSS = `:root {
  color-scheme: light dark;
  --bg: #fffbf2;
  --surface: #ffffff;
  --ink: #241a0e;
  --muted: #6b5a43;
  --line: #e6d9bf;
  --field: #8f7b5e;
  --gold: #ffc53d;
  --gold-hover: #f5b41f;
  --on-gold: #241a0e;
  --link: #8a5200;
  --focus: #2b3fa8;
  --open: #7a4700;
  --open-chip: #fff0cc;
  --closed: #a3201d;
  --closed-chip: #fde7e4;
  --unknown: #2f4a6d;
  --unknown-chip: #e6edf6;
  --shadow: 0 1px 2px #241a0e14;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --bg: #17120b;
    --surface: #221a10;
    --ink: #fbf3e4;
    --muted: #cbbb9e;
    --line: #4a3b26;
    --field: #9a8663;
    --link: #ffd27a;
    --focus: #a9bbff;
    --open: #ffd27a;
    --open-chip: #3a2a0e;
    --closed: #ffa59c;
    --closed-chip: #3d1916;
    --unknown: #a9c4e8;
    --unknown-chip: #1b2a3d;
    --shadow: none;
  }
}
* { box-sizing: border-box; margin: 0; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  background: var(--bg);
  color: var(--ink);
  font: 1.125rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  margin: 0 auto;
  max-width: 36rem;
  min-height: 100vh;
  min-height: 100dvh;
  padding: 0 max(1rem, env(safe-area-inset-right)) 1.5rem max(1rem, env(safe-area-inset-left));
  display: flex;
  flex-direction: column;
  overflow-wrap: anywhere;
}
.home { max-width: 50rem; }
h1, h2, h3 { line-height: 1.15; text-wrap: balance; }
h1 { font-size: 2rem; letter-spacing: -0.01em; }
h2 { font-size: 1.5rem; }
h3 { font-size: 1.25rem; }
a { color: var(--link); text-underline-offset: 0.2em; }
a:hover { text-decoration-thickness: 2px; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; border-radius: 6px; }
.top {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  gap: 0.5rem 1rem;
  padding: 0.75rem 0;
}
.brand {
  display: flex;
  align-items: center;
  gap: 0.625rem;
  min-height: 44px;
  color: var(--ink);
  font-size: 1.25rem;
  font-weight: 700;
  text-decoration: none;
}
.skip { position: absolute; top: 0; transform: translateY(-120%); padding: 0.625rem 1rem; }
.skip:focus { transform: none; background: var(--bg); z-index: 1; }
.switch { min-height: 44px; padding: 0 0.25rem; display: inline-flex; align-items: center; }
main:focus { outline: 0; }
main { flex: 1; display: grid; gap: 1.5rem; align-content: start; padding: 0.5rem 0 2rem; }
footer { color: var(--muted); font-size: 1rem; border-top: 1px solid var(--line); }
footer p { padding-top: 1rem; }

.ticket {
  background: var(--surface);
  border: 1px solid var(--line);
  border-radius: 28px;
  box-shadow: var(--shadow);
}
.verdict {
  display: grid;
  gap: 0.75rem;
  justify-items: center;
  padding: 1.75rem 1.25rem;
  border-radius: 27px;
  text-align: center;
  text-wrap: balance;
}
.verdict:not(:last-child) { border-radius: 27px 27px 0 0; }
.open .verdict { background: var(--open-chip); }
.closed .verdict { background: var(--closed-chip); }
.unknown .verdict { background: var(--unknown-chip); }
.open .shape, .open h1 { color: var(--open); }
.closed .shape, .closed h1 { color: var(--closed); }
.unknown .shape, .unknown h1 { color: var(--unknown); }
.stub { position: relative; border-top: 2px dashed var(--line); padding: 1.75rem 1.25rem 1.5rem; }
.stub::before, .stub::after {
  content: "";
  position: absolute;
  top: -13px;
  width: 24px;
  height: 24px;
  border: 1px solid var(--line);
  border-radius: 50%;
  background: var(--bg);
}
.stub::before { left: -13px; clip-path: inset(0 0 0 12px); }
.stub::after { right: -13px; clip-path: inset(0 12px 0 0); }
.qr {
  width: 100%;
  max-width: 18rem;
  margin: 0 auto 1.75rem;
  border: 1px solid var(--line);
  border-radius: 20px;
  background: #fff;
  line-height: 0;
  overflow: hidden;
}
.stub h2 { font-size: 1.75rem; margin-bottom: 1.25rem; }
dl { display: grid; gap: 1rem; }
dt { color: var(--muted); font-size: 1rem; }
dd { font-size: 1.25rem; font-weight: 600; line-height: 1.35; text-wrap: balance; }
time { display: block; }
time::first-letter { text-transform: uppercase; }
small { color: var(--muted); font-size: 1rem; font-weight: 400; }
.button {
  display: grid;
  place-items: center;
  min-height: 56px;
  padding: 0.5rem 1.25rem;
  border-radius: 14px;
  background: var(--gold);
  color: var(--on-gold);
  font-size: 1.25rem;
  font-weight: 700;
  text-align: center;
  text-decoration: none;
}
.button:hover { background: var(--gold-hover); }
.quiet { border: 2px solid var(--field); background: none; color: var(--ink); }
.quiet:hover { border-color: var(--ink); background: none; }
.note .button, .card .button { margin-top: 0.75rem; }
.note { border-left: 4px solid var(--gold); padding: 0.25rem 0 0.25rem 1rem; }
.note h2 { font-size: 1.125rem; line-height: 1.5; }

.home main { gap: 2.25rem; }
.intro { display: grid; gap: 0.75rem; padding-top: 1rem; }
.intro h1 { font-size: clamp(2rem, 1.25rem + 3.5vw, 3rem); }
.lead { font-size: 1.25rem; color: var(--muted); max-width: 34rem; }
section > h2 { margin-bottom: 1rem; }
.note > h2 { margin-bottom: 0; }
.note > p + p { margin-top: 0.5rem; }
.line { min-height: 44px; display: inline-flex; align-items: center; }
.steps { list-style: none; counter-reset: step; padding: 0; display: grid; gap: 0.75rem; }
.steps li { counter-increment: step; display: flex; gap: 0.75rem; align-items: center; }
.steps li::before {
  content: counter(step);
  flex: none;
  display: grid;
  place-items: center;
  width: 2.25rem;
  height: 2.25rem;
  border-radius: 50%;
  background: var(--gold);
  color: var(--on-gold);
  font-weight: 700;
}
.cards { display: grid; gap: 1rem; }
.card {
  background: var(--surface);
  border: 1px solid var(--line);
  border-radius: 20px;
  box-shadow: var(--shadow);
  padding: 1.25rem;
}
.card h3 { margin-bottom: 0.5rem; }
.card p { color: var(--muted); text-wrap: pretty; }
.card ul { list-style: none; padding: 0; margin-top: 0.5rem; }
.card li {
  display: flex;
  flex-wrap: wrap;
  align-items: center;
  justify-content: space-between;
  column-gap: 1rem;
}
.card li a { min-height: 44px; display: inline-flex; align-items: center; }
code { color: var(--muted); font: 1rem/1.5 ui-monospace, Menlo, Consolas, monospace; }

@media screen and (min-width: 40rem) {
  .verdict { padding: 2.25rem 2rem; }
  .stub { padding: 2rem 2rem 1.75rem; }
  .steps { grid-template-columns: repeat(3, 1fr); gap: 1.5rem; }
  .steps li { display: grid; align-content: start; justify-items: start; }
  .cards { grid-template-columns: 1fr 1fr; }
  .card:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .card:last-child:nth-child(odd) ul { display: flex; flex-wrap: wrap; column-gap: 2.5rem; }
}
@media (max-width: 16em) {
  body { hyphens: auto; -webkit-hyphens: auto; padding-left: 0.5rem; padding-right: 0.5rem; }
  h1, .intro h1, .stub h2, h2 { font-size: 1.25rem; }
  h3, .note h2 { font-size: 1.125rem; }
  .verdict, .stub, .card { padding-left: 0.5rem; padding-right: 0.5rem; }
}
@media print {
  @page { margin: 12mm; }
  html { font-size: 10pt; }
  html:has(.home) { font-size: 9pt; }
  body { display: block; min-height: 0; max-width: none; padding: 0; }
  .switch, .skip, .button { display: none; }
  .qr { max-width: 60mm; margin-bottom: 1rem; }
  .top, main { padding: 0 0 1rem; }
  footer p { padding-top: 0.5rem; }
  .verdict, .stub { padding: 1.25rem; }
  .stub h2 { font-size: 1.375rem; margin-bottom: 1rem; }
  .ticket, .card { box-shadow: none; }
  .home main { gap: 0.75rem; padding-bottom: 0.5rem; }
  .intro { padding-top: 0; }
  section > h2 { margin-bottom: 0.5rem; }
  .cards { grid-template-columns: 1fr 1fr; }
  .card { padding: 0.75rem 1rem; }
  .card li a { min-height: 0; }
  .note, .card, dl > div { break-inside: avoid; }
  .verdict, .steps li::before { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
@media (forced-colors: active) {
  .button { border: 2px solid; }
}
`;
