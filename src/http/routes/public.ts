import Type from 'typebox';
import { Closed } from '../../contract/common.ts';
import { prepared } from '../../db/statement.ts';
import type { App, RouteDeps } from '../app.ts';
import { routeOf } from './common.ts';
import { pageRoutes } from './pages.ts';

const Health = Closed({ status: Type.String() });

const READY = prepared('http.ready', 'SELECT name FROM lumis.migrations LIMIT 1');

/** What anybody may open. GET never changes anything. */
export function publicRoutes(app: App, deps: RouteDeps): void {
  const { db } = deps;
  pageRoutes(app, deps);
  const page = { config: { audience: 'public' as const }, schema: { hide: true } };
  app.get('/openapi.json', page, () => app.swagger() as never);
  app.get(
    '/healthz',
    { ...routeOf('public', 'read')('The process is up', {}, { 200: Health }), config: page.config },
    async () => ({ status: 'ok' }),
  );
  app.get(
    '/readyz',
    {
      ...routeOf('public', 'read')('The database answers', {}, { 200: Health }),
      config: page.config,
    },
    async () => {
      await db.query(READY());
      return { status: 'ok' };
    },
  );
  app.get('/metrics', page, async (_, reply) => {
    const { registry } = deps.metrics;
    return reply.type(registry.contentType).send((await registry.metrics()) as never);
  });
}
