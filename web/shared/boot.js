// Runs before the first paint, so that neither colours, nor language, nor the kind of page change
// under the eye. A file of its own, because the pages' policy forbids scripts inside HTML.
(() => {
  const page = document.documentElement;
  const read = (name) => {
    try {
      return JSON.parse(localStorage.getItem(`lumis.${name}`));
    } catch {
      return null;
    }
  };
  const theme = read('theme');
  if (theme === 'light' || theme === 'dark') {
    page.dataset.theme = theme;
    for (const bar of document.querySelectorAll('meta[name="theme-color"]')) {
      bar.content = theme === 'dark' ? '#17120b' : '#fffbf2';
    }
  }
  // somebody is signed in, or the phone is paired: the first page is another one then
  const isKnown = location.pathname.startsWith('/scan')
    ? read('scanner.device')
    : read('wallet.session') || location.hash.includes('token=');
  if (isKnown) page.dataset.known = '';
  const locale = read('locale') ?? navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase());
  page.lang = [locale].flat().find((tag) => tag === 'es' || tag === 'en') ?? 'es';
})();
