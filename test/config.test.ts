import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConfigFault, readConfig } from '../src/config.ts';
import { PROJECT_ROOT } from '../src/project.ts';

const SECRET = 'x'.repeat(32);
const DATABASE_URL = 'postgresql://a:b@127.0.0.1/c';

function faultsOf(environment: Record<string, string>): string[] {
  try {
    readConfig(environment);
    return [];
  } catch (error) {
    return (error as ConfigFault).faults;
  }
}

test('nothing set means the embedded database and the documented defaults', () => {
  const config = readConfig({});
  assert.equal(config.databaseUrl, undefined);
  assert.equal(config.port, 8000);
  assert.equal(config.host, '127.0.0.1');
  assert.equal(config.publicUrl, 'http://localhost:8000');
  assert.equal(config.databasePoolMax, 50);
  assert.equal(config.redemptionTtlMinutes, 1440);
  assert.equal(config.businessTimeZone, 'America/Panama');
});

test('the defaults are those that .env.example shows', () => {
  const example = readFileSync(join(PROJECT_ROOT, '.env.example'), 'utf8');
  const shown = Object.fromEntries(
    [...example.matchAll(/^#? ?(RATE_LIMIT_[A-Z_]+|PORT|HOST|DATABASE_POOL_MAX)=(\S+)/gm)].map(
      ([, name, value]) => [name, value],
    ),
  );
  assert.deepEqual(readConfig(shown), readConfig({}));
});

test('a database of one’s own needs a secret of one’s own', () => {
  assert.match(faultsOf({ DATABASE_URL })[0] ?? '', /JWT_SECRET is required/);
  assert.match(faultsOf({ DATABASE_URL, JWT_SECRET: 'short' })[0] ?? '', /has 5 bytes/);
  assert.deepEqual(faultsOf({ DATABASE_URL, JWT_SECRET: SECRET }), []);
  assert.deepEqual(faultsOf({ DATABASE_URL, JWKS_URL: 'https://id.example.com/keys' }), []);
});

test('a published secret is known by its digest, which nothing else has', () => {
  const source = readFileSync(join(PROJECT_ROOT, 'src/config.ts'), 'utf8');
  const digests = [...source.matchAll(/'([0-9a-f]{64})'/g)].map(([, digest]) => digest);
  assert.equal(digests.length, 1);
  assert.notEqual(createHash('sha256').update(SECRET).digest('hex'), digests[0]);
});

test('all faults are told at once, without the values of secrets', () => {
  const faults = faultsOf({
    DATABASE_URL: 'postgres//user:hunter2@host',
    JWT_SECRET: 'hunter2',
    PORT: '8000.5',
    DATABASE_POOL_MAX: '1',
    REDIS_URL: 'http://redis',
    LOG_LEVEL: 'loud',
    TRUSTED_PROXIES: '10.0.0.0/8, everybody',
    CORS_ORIGINS: 'app.example.com',
  });
  assert.equal(faults.length, 8, faults.join('\n'));
  assert.doesNotMatch(faults.join(), /hunter2/);
});
