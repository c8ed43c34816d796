import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { createTokenVerifier } from '../src/http/tokens.ts';

const SECRET = 'a secret for tests alone, of more than 32 bytes';
const bytes = (text: string) => new TextEncoder().encode(text);
const NONE = { secret: undefined, jwksUrl: undefined, issuer: undefined, audience: undefined };
const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

function hs256(claims: object, secret = SECRET): Promise<string> {
  return new SignJWT({ sub: '1', exp: inAnHour(), ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(bytes(secret));
}

async function codeOf(verifying: Promise<unknown>): Promise<string> {
  return verifying.then(
    () => 'accepted',
    (error: { code: string }) => error.code,
  );
}

test('sub is a user id, as a number or as decimal text, and nothing else', async () => {
  const verify = createTokenVerifier({ ...NONE, secret: SECRET });
  for (const sub of ['7', 7, '2147483647']) {
    const identity = await verify(await hs256({ sub }));
    assert.equal(identity.claims.user_id, Number(sub));
    assert.equal(identity.isAdmin, false);
  }
  for (const sub of [
    '',
    '0',
    '-1',
    '01',
    '1e3',
    '1.5',
    1.5,
    0,
    2_147_483_648,
    ' 7',
    'x',
    null,
    {},
  ]) {
    assert.equal(await codeOf(verify(await hs256({ sub }))), 'unauthorized', JSON.stringify(sub));
  }
});

test('a token without end, past its end, or of another secret is refused', async () => {
  const verify = createTokenVerifier({ ...NONE, secret: SECRET });
  assert.equal(await codeOf(verify(await hs256({}))), 'accepted');
  const past = Math.floor(Date.now() / 1000) - 1;
  const refused = [
    await hs256({ exp: undefined }),
    await hs256({ exp: past }),
    await hs256({ nbf: inAnHour() }),
    await hs256({}, `${SECRET}!`),
    `${(await hs256({})).slice(0, -2)}xx`,
    '',
    'a.b.c',
    'x'.repeat(1_000_000),
    `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(
      `{"sub":"1","exp":${inAnHour()}}`,
    ).toString('base64url')}.`,
  ];
  for (const token of refused) {
    assert.equal(await codeOf(verify(token)), 'unauthorized', token.slice(0, 40));
  }
});

test('issuer and audience are held when they are configured', async () => {
  const verify = createTokenVerifier({ ...NONE, secret: SECRET, issuer: 'us', audience: 'shop' });
  assert.equal(await codeOf(verify(await hs256({ iss: 'us', aud: 'shop' }))), 'accepted');
  for (const claims of [{}, { iss: 'us' }, { iss: 'them', aud: 'shop' }, { iss: 'us', aud: 'x' }]) {
    assert.equal(await codeOf(verify(await hs256(claims))), 'unauthorized');
  }
});

test('only role admin makes an administrator', async () => {
  const verify = createTokenVerifier({ ...NONE, secret: SECRET });
  assert.equal((await verify(await hs256({ role: 'admin' }))).isAdmin, true);
  for (const role of ['Admin', 'staff', ['admin'], true]) {
    assert.equal((await verify(await hs256({ role }))).isAdmin, false);
  }
});

async function keyServer(t: TestContext, keys: object[]) {
  const server = createServer((_, reply) => reply.end(JSON.stringify({ keys })));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
}

test('keys of a JWKS verify their own algorithm, and never a shared secret', async (t) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' };
  const jwksUrl = await keyServer(t, [jwk]);
  const verify = createTokenVerifier({ ...NONE, jwksUrl });
  const token = (header: object) =>
    new SignJWT({ sub: '3', exp: inAnHour() })
      .setProtectedHeader({ alg: 'ES256', kid: 'one', ...header })
      .sign(privateKey);
  assert.equal((await verify(await token({}))).claims.user_id, 3);
  assert.equal(await codeOf(verify(await token({ kid: 'two' }))), 'unauthorized');
  // the public key is public: as a shared secret it must open nothing
  const confused = await hs256({}, await exportSPKI(publicKey));
  assert.equal(await codeOf(verify(confused)), 'unauthorized');
  const both = createTokenVerifier({ ...NONE, jwksUrl, secret: SECRET });
  assert.equal(await codeOf(both(await hs256({}))), 'accepted');
  assert.equal(await codeOf(both(confused)), 'unauthorized');
});

test('a key server that is away is our trouble, not the member’s', async () => {
  const { privateKey } = await generateKeyPair('ES256');
  const verify = createTokenVerifier({ ...NONE, jwksUrl: 'http://127.0.0.1:1/keys' });
  const token = await new SignJWT({ sub: '3', exp: inAnHour() })
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .sign(privateKey);
  assert.equal(await codeOf(verify(token)), 'overloaded');
});
