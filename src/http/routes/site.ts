import { Pairing } from '../../contract/device.ts';
import { DemoMembers, DemoSignIn, DemoToken, SiteConfig } from '../../contract/live.ts';
import { systemCaller } from '../../core/actor.ts';
import { Failure } from '../../core/failure.ts';
import { FIRST_BRANCH, listBranches, openBranch } from '../../devices/branches.ts';
import { createPairing } from '../../devices/pairings.ts';
import { membersById } from '../../members/members.ts';
import type { App, DemoSite, RouteDeps } from '../app.ts';
import { createTokenSigner } from '../tokens.ts';
import { routeOf } from './common.ts';

const route = routeOf('public', 'landing');
const CACHED_SECONDS = 60;
const SIGNED_IN_SECONDS = 12 * 3600;
/** For what costs next to nothing. */
const UNLIMITED = { audience: 'public' as const };

/** What web apps ask before anybody has signed in; and, for a first look, how to sign in at once. */
export function siteRoutes(app: App, deps: RouteDeps): void {
  const { config, demoSite, version } = deps;
  const site = {
    demo: demoSite !== undefined,
    time_zone: config.businessTimeZone,
    embed_origins: config.corsOrigins,
    redemption_ttl_minutes: config.redemptionTtlMinutes,
    version,
  };
  const about = route('What a web app has to know', {}, { 200: SiteConfig });
  app.get('/config', { ...about, config: UNLIMITED }, async (_, reply) => {
    reply.header('cache-control', `public, max-age=${CACHED_SECONDS}`);
    return site;
  });
  if (demoSite) demoRoutes(app, deps, demoSite);
}

/** There only with an embedded database that holds the demo's data. */
function demoRoutes(app: App, { db, config }: RouteDeps, demo: DemoSite): void {
  app.get(
    '/demo/members',
    route('Whom one can sign in as', {}, { 200: DemoMembers }),
    async () => ({ data: await membersById(db, demo.userIds) }),
  );

  if (config.jwtSecret) {
    const sign = createTokenSigner({
      secret: config.jwtSecret,
      issuer: config.jwtIssuer,
      audience: config.jwtAudience,
    });
    app.post(
      '/demo/sign-in',
      route('Sign in as a demo member', { body: DemoSignIn }, { 200: DemoToken }),
      async (request, reply) => {
        const { user_id } = request.body;
        if (!demo.userIds.includes(user_id)) throw new Failure('not_found');
        reply.header('cache-control', 'no-store');
        return sign(user_id, SIGNED_IN_SECONDS);
      },
    );
  }

  app.post(
    '/demo/pairing',
    route("Pair a phone with the demo's café", {}, { 201: Pairing }),
    async (_, reply) => {
      const caller = systemCaller('demo');
      const { merchantId } = demo;
      const { data } = await listBranches(db, merchantId, { is_active: true, limit: 1 });
      const place = { branch_name: FIRST_BRANCH, time_zone: config.businessTimeZone };
      const branch = data[0] ?? (await openBranch(db, caller, merchantId, place));
      const input = { branch_id: branch.branch_id };
      const pairing = await createPairing(db, caller, merchantId, input, config.publicUrl);
      return reply.code(201).header('cache-control', 'no-store').send(pairing);
    },
  );
}
