import { X509Certificate } from 'node:crypto';
import Type from 'typebox';
import { findLanding } from '../../redemptions/landing.ts';
import type { App, RouteDeps } from '../app.ts';
import { sendFault } from '../pages/fault.ts';
import { APP_LINKS, HOME_LINKS, homePage } from '../pages/home.ts';
import { landingPage } from '../pages/landing.ts';
import { ICON_SVG, PAGE_CSS } from '../pages/style.ts';
import { visitOf } from '../pages/visit.ts';
import { routeOf } from './common.ts';

const route = routeOf('public', 'landing');
// whatever else stands there is no reason to turn a visitor away
const Language = Type.Object({
  lang: Type.Optional(Type.Unknown({ description: 'es or en; else the browser’s languages' })),
});
const Html = { description: 'a page', content: { 'text/html': { schema: Type.Any() } } };
const HTML = 'text/html; charset=utf-8';
const CERTIFICATE_PATH = '/lumis-ca.crt';

/** What anybody may open in a browser, without script. GET never changes anything. */
export function pageRoutes(app: App, deps: RouteDeps): void {
  landingRoutes(app, deps);
  frontRoutes(app, deps);
  if (deps.tls) certificateRoute(app, deps.tls.ca);
}

function landingRoutes(app: App, { db, config }: RouteDeps): void {
  app.get(
    '/r/:token',
    {
      ...route(
        'Where a QR leads',
        { params: Type.Object({ token: Type.String() }), querystring: Language },
        { 200: Html, 404: Html },
      ),
      errorHandler: sendFault,
    },
    async (request, reply) => {
      const { token } = request.params;
      const landing = await findLanding(db, token);
      const [wallet, scanner] = APP_LINKS.map(({ href }) => (serves(app, href) ? href : undefined));
      const { html, status } = landingPage({
        ...visitOf(request),
        landing,
        timeZone: config.businessTimeZone,
        url: `${config.publicUrl}/r/${token}`,
        walletUrl: wallet,
        scannerUrl: scanner,
      });
      return reply
        .code(status as 200)
        .type(HTML)
        .header('cache-control', 'no-store')
        .header('x-robots-tag', 'noindex')
        .send(html as never);
    },
  );
}

function frontRoutes(app: App, deps: RouteDeps): void {
  const page = { config: { audience: 'public' as const }, schema: { hide: true } };
  const front = { ...page, schema: { hide: true, querystring: Language }, errorHandler: sendFault };
  app.get('/', front, (request, reply) => {
    const apps = APP_LINKS.filter(({ href }) => serves(app, href));
    const html = homePage({
      ...visitOf(request),
      version: deps.version,
      demo: deps.demo,
      links: [...apps, ...HOME_LINKS],
      certificateUrl: deps.tls && CERTIFICATE_PATH,
    });
    return reply
      .type(HTML)
      .headers({ 'cache-control': 'no-cache', vary: 'accept-language' })
      .send(html as never);
  });
  for (const [path, type, content] of [
    ['/assets/page.css', 'text/css; charset=utf-8', PAGE_CSS],
    ['/assets/icon.svg', 'image/svg+xml', ICON_SVG],
  ] as const) {
    app.get(path, page, (_, reply) =>
      reply
        .type(type)
        .header('cache-control', 'public, max-age=3600')
        .send(content as never),
    );
  }
}

/**
 * The authority's certificate as phones install it: binary, and never its key. Not an attachment:
 * an iPhone would put it among its files instead of offering to install it.
 */
function certificateRoute(app: App, ca: string): void {
  const { raw } = new X509Certificate(ca);
  app.get(
    CERTIFICATE_PATH,
    { config: { audience: 'public' }, schema: { hide: true } },
    (_, reply) =>
      reply
        .type('application/x-x509-ca-cert')
        .header('cache-control', 'no-store')
        .send(raw as never),
  );
}

/** Whether this process serves the app at this address: one that runs the API alone does not. */
const serves = (app: App, href: string) => app.routeTable.some(({ url }) => url.startsWith(href));
