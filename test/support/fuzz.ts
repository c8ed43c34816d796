/** Requests for fuzzing, made from the OpenAPI document: right ones, and wrong ones. */

/** Everything random of one run, from one seed. */
export interface Random {
  /** a whole number from 0 to `n` - 1 */
  below(n: number): number;
  pick<T>(list: readonly T[]): T;
  chance(probability: number): boolean;
}

/** The generator mulberry32: small, fast, and the same everywhere. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number) => Math.floor(next() * n);
  const pick = <T>(list: readonly T[]) => list[below(list.length)] as T;
  return { below, pick, chance: (probability) => next() < probability };
}

type Schema = Record<string, any>;

interface Field {
  in: 'path' | 'query' | 'header' | 'body';
  name: string;
  required: boolean;
  schema: Schema;
  /** which pool has values that exist */
  pool: string;
}

export interface Operation {
  method: string;
  /** as the router has it, with `:name` for a parameter */
  url: string;
  audience: string;
  fields: Field[];
  body: Schema | undefined;
  /** by status or class of statuses; undefined when the document does not have the operation */
  responses: Record<string, { content?: Record<string, { schema: Schema }> }> | undefined;
}

/** Every route as an operation, with what the document says of it. */
export function operationsOf(
  document: { paths: Record<string, Record<string, any>> },
  routes: readonly { method: string; url: string; audience: string | undefined }[],
): Operation[] {
  return routes.flatMap(({ method, url, audience = 'public' }) => {
    if (url === '*') return [];
    const path = document.paths[url.replace(/:(\w+)/g, '{$1}')];
    const said = path?.[method === 'HEAD' ? 'get' : method.toLowerCase()];
    const body: Schema | undefined = said?.requestBody?.content['application/json'].schema;
    const inBody = Object.entries((body?.properties ?? {}) as Record<string, Schema>);
    const fields: Omit<Field, 'pool'>[] = [
      ...(said?.parameters ?? []),
      ...inBody.map(([name, schema]) => {
        return { in: 'body', name, schema, required: body?.required?.includes(name) ?? false };
      }),
    ];
    const pooled = fields.map((field) => ({ ...field, pool: poolOf(field.name, url) }));
    const responses = method === 'HEAD' ? undefined : said?.responses;
    return [{ method, url, audience, fields: pooled, body, responses }];
  });
}

/** What is known to exist, by the name of the field that takes it. */
export type Pools = Record<string, unknown[]>;
const POOL_MAX = 60;

/** A cursor is of use for its own list alone, and a verb for what is in the right state. */
function poolOf(name: string, url: string): string {
  if (name === 'cursor') return `cursor of ${url}`;
  if (name !== 'redemption_id') return name;
  return /confirm$|cancel$|qr/.test(url) ? 'pending' : url.endsWith('reverse') ? 'confirmed' : name;
}

/** Remembers the ids, codes and cursors of the answer from `url` for later requests. */
export function harvest(pools: Pools, url: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, content] of Object.entries(value)) {
    const own = /_id$|^(merchant_name|pairing_code)$/.test(name) ? name : '';
    const kind = poolOf(KEPT[name] ?? own, url);
    if (kind && content !== null && !pools[kind]?.includes(content)) {
      const pool = pools[kind] ?? [];
      pool.push(content);
      pools[kind] = pool.slice(-POOL_MAX);
    }
    harvest(pools, url, content);
  }
}

const words = (text: string) => text.split(' ');
const KEPT: Record<string, string> = {
  redemption_code: 'code',
  qr_landing_url: 'code',
  next_cursor: 'cursor',
};

/** JSON text as it is, for what no value can say: 1e309, twice the same name, depths. */
class Raw {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function jsonText(value: unknown): string {
  if (value instanceof Raw) return value.text;
  if (Array.isArray(value)) return `[${value.map(jsonText).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const members = Object.entries(value).map(
    ([name, one]) => `${JSON.stringify(name)}:${jsonText(one)}`,
  );
  return `{${members.join(',')}}`;
}

const TIMES = [
  ...words('2026-03-01T15:00:00Z 2031-03-01T15:00:00.123456-05:00 0000-01-01T00:00:00Z'),
  ...words('0001-01-01T00:00:00+14:00 9999-12-31T23:59:59Z 9999-12-31T23:59:59-15:59'),
  ...words('2016-12-31T23:59:60Z 2026-03-08T02:30:00-05:00 2026-02-29T00:00:00Z'),
  ...['2024-02-29 00:00:00+23:59', `2024-02-29t00:00:00.${'1'.repeat(300)}z`],
];

const HOSTILE_TEXTS = [
  ...words('\\ %_% %00 ../../../etc/passwd ..%2f..%2f __proto__ constructor toString null NaN'),
  ...words('<script>alert(1)</script> {{7*7}} =cmd|calc true -0 1e309 0x10 infinity now {} []'),
  ...words('\0 a\0b \ud800 x\udc00y \u202ea\u202c\u200b\ufeff \uffff\ufffe\u0085\u2028 \uff11'),
  ...["' OR 1=1 --", '"; DROP TABLE x; --', '', ' ', '\t\n', '1'.repeat(400), 'x'.repeat(10_000)],
  ...['\u{1F600}'.repeat(90), '\u0130\u1e9e'.repeat(100)],
];

const STRANGE_VALUES: unknown[] = [
  ...[0, -1, 1.5, 1e-7, 2 ** 31 - 1, 2 ** 31, -(2 ** 31), 2 ** 53, -(2 ** 53), 1e300],
  ...[true, false, null, [], {}, [[]], ['a', 1], { a: { b: null } }],
  ...words("1e309 -1e309 -0 1E+2 00 NaN - undefined 'a'").map((text) => new Raw(text)),
  new Raw(`${'['.repeat(10_000)}${']'.repeat(10_000)}`),
  new Raw(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`),
  new Raw(`[${'0,'.repeat(9000)}0]`),
  new Raw('{"__proto__":{"polluted":true}}'),
  new Raw('{"constructor":{"prototype":{"polluted":true}}}'),
];

const DAYS = words('0000-01-01 2026-02-31 2026-13-01 9999-12-31');
const CURSOR_PARTS: unknown[] = [
  ...DAYS.map((day) => `${day}T00:00:00.000000Z`),
  ...[-1, 0, 1.5, 2 ** 31, 10 ** 18 - 2 ** 10, null, [], {}, '', 'members', '1', '1e3', '\0'],
  '0193E0A4-7C1E-7B9A-9D1F-5A3C2B1D0E9F',
];

/** A cursor that nobody was given: mostly a real one with a part changed. */
function forgedCursor(random: Random, known: readonly unknown[]): string {
  if (known.length === 0 || random.chance(0.2)) return random.pick(words(' AAAA %%% W10 e30'));
  const parts = JSON.parse(Buffer.from(String(random.pick(known)), 'base64url').toString());
  parts[random.below(parts.length + 1)] = random.pick(CURSOR_PARTS);
  return Buffer.from(JSON.stringify(parts)).toString('base64url');
}

/** A value that the schema allows; what exists, where something fitting is known. */
function validValue(random: Random, field: Field, pools: Pools): unknown {
  const { name, schema } = field;
  const known = pools[field.pool];
  if (known && known.length > 0 && random.chance(0.85)) return random.pick(known);
  const option = schema.anyOf ? random.pick(schema.anyOf as Schema[]) : schema;
  if (option.enum) return random.pick(option.enum);
  switch (option.type) {
    case 'null':
      return null;
    case 'boolean':
      return random.chance(0.7);
    case 'integer':
      return Math.max(option.minimum ?? 0, 0) + random.below(Math.min(60, option.maximum ?? 60));
    case 'array':
      return [validValue(random, { ...field, schema: option.items }, {})];
    default:
      return validText(random, option, name);
  }
}

function validText(random: Random, schema: Schema, name: string): string {
  if (schema.format === 'date-time') return random.pick(TIMES.slice(0, 2));
  if (schema.format === 'email') return `a${random.below(99)}@example.com`;
  if (schema.pattern?.startsWith('^https')) return `https://example.com/${random.below(99)}`;
  if (schema.pattern?.includes('0-9a-fA-F')) return uuid(random);
  if (schema.pattern?.includes('0-9A-Za-z')) return `absent${random.below(1e6)}`;
  const text = `${name} ${random.below(1e6)} ñ\u{1F600}`;
  return [...text].slice(0, schema.maxLength ?? 50).join('');
}

function uuid(random: Random): string {
  const hex = Array.from({ length: 32 }, () => random.below(16).toString(16)).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** Values at the edges of the schema; with `beyond`, just outside of them. */
function edgeValue(random: Random, field: Field, pools: Pools, beyond: boolean): unknown {
  const { name, schema, pool } = field;
  const option = schema.anyOf ? random.pick(schema.anyOf as Schema[]) : schema;
  if (name === 'cursor') return forgedCursor(random, pools[pool] ?? []);
  if (option.format === 'date-time') return random.pick(TIMES);
  const by = beyond ? 1 : 0;
  if (option.type === 'integer') {
    const { minimum = -(2 ** 31), maximum = 2 ** 31 - 1 } = option;
    return random.pick([minimum - by, maximum + by, 0]);
  }
  if (option.type === 'string') {
    const { minLength = 0, maxLength = 2000 } = option;
    const long = random.pick(['x', '\u{1F600}', ' ']).repeat(maxLength + by);
    return random.pick(['y'.repeat(Math.max(0, minLength - by)), long]);
  }
  return random.pick([null, 0, 1, true, false, '']);
}

/** A request before it is written down; flaws change it. */
interface Draft {
  operation: Operation;
  path: Record<string, unknown>;
  query: [string, unknown][];
  headers: Record<string, string>;
  body: unknown;
  payload: string | Buffer | undefined;
  contentType: string | undefined;
  /** replaces the path or is appended to the query as it is */
  rawPath: string | undefined;
  rawQuery: string | undefined;
}

export interface FuzzRequest {
  operation: Operation;
  flaws: string[];
  method: string;
  url: string;
  headers: Record<string, string>;
  payload?: string | Buffer;
}

export interface Sources {
  operations: readonly Operation[];
  pools: Pools;
  /** the credentials that fit an audience */
  credentials: Record<string, string[]>;
  /** everything that is no credential, or not quite */
  junkCredentials: readonly string[];
}

let serial = 0;

/** One request: mostly for an operation as it should be, then with one flaw, or none, or two. */
export function makeRequest(random: Random, sources: Sources): FuzzRequest {
  const operation = pickOperation(random, sources.operations);
  const draft = rightDraft(random, operation, sources);
  const flaws: string[] = [];
  const count = random.chance(0.4) ? 0 : random.chance(0.1) ? 2 : 1;
  for (let i = 0; i < count; i += 1) {
    const flaw = random.pick(FLAW_NAMES);
    flaws.push(flaw);
    FLAWS[flaw]?.(random, draft, sources);
  }
  // who knows what is there under another path
  const meant = draft.rawPath === undefined ? operation : { ...operation, responses: undefined };
  return { operation: meant, flaws, ...written(draft) };
}

/** Rarer: what takes a quarter of a second (a new key's hash), and what says little. */
function pickOperation(random: Random, operations: readonly Operation[]): Operation {
  for (;;) {
    const operation = random.pick(operations);
    const { method, url, audience } = operation;
    const makesKey = method === 'POST' && /merchants(\/:merchant_id\/keys)?$/.test(url);
    const isRare = method === 'HEAD' || audience === 'public';
    const share = isRare ? 0.1 : makesKey ? 0.2 : method === 'GET' ? 0.5 : 1;
    if (random.chance(share)) return operation;
  }
}

function rightDraft(random: Random, operation: Operation, sources: Sources): Draft {
  const { pools, credentials } = sources;
  const chosen = operation.fields.filter(({ required, name }) => {
    return required || name === 'idempotency-key' || random.chance(0.25);
  });
  const of = (place: Field['in']) => chosen.filter((field) => field.in === place);
  const value = (field: Field) => validValue(random, field, pools);
  const body = Object.fromEntries(of('body').map((field) => [field.name, value(field)]));
  const headers: Record<string, string> = {};
  if (of('header').length > 0) {
    const again = random.chance(0.1) && serial > 0;
    headers['idempotency-key'] = `fuzz ${again ? random.below(serial) : ++serial}`;
  }
  const authorization = random.pick(credentials[operation.audience] ?? []);
  if (authorization) headers.authorization = authorization;
  return {
    operation,
    path: Object.fromEntries(of('path').map((field) => [field.name, value(field)])),
    query: of('query').map((field) => [field.name, value(field)]),
    headers,
    body: operation.body ? body : undefined,
    payload: undefined,
    contentType: undefined,
    rawPath: undefined,
    rawQuery: undefined,
  };
}

/** Percent-encodes whatever it is; half a surrogate pair becomes U+FFFD. */
function percent(value: unknown): string {
  const bytes = Buffer.from(value instanceof Raw ? value.text : String(value));
  return bytes
    .toString('latin1')
    .replace(/[^A-Za-z0-9._~-]/g, (char) => `%${Buffer.from(char, 'latin1').toString('hex')}`);
}

function written(draft: Draft): Omit<FuzzRequest, 'operation' | 'flaws'> {
  const { operation, path, query, headers } = draft;
  const plain = operation.url
    .replace(/:(\w+)/g, (_, name) => percent(path[name]))
    .replace('*', 'swagger-ui.css');
  const pairs = query.map(([name, value]) => `${percent(name)}=${percent(value)}`);
  if (draft.rawQuery !== undefined) pairs.push(draft.rawQuery);
  const url = (draft.rawPath ?? plain) + (pairs.length > 0 ? `?${pairs.join('&')}` : '');
  const payload = draft.payload ?? (draft.body === undefined ? undefined : jsonText(draft.body));
  const request = { method: operation.method, url, headers };
  if (payload === undefined || operation.method === 'HEAD') return request;
  const type = draft.contentType ?? 'application/json';
  return { ...request, payload, headers: { ...headers, ...(type && { 'content-type': type }) } };
}

/** A field of the query that is set twice is sent twice. */
function setField(draft: Draft, field: Field, value: unknown): void {
  if (field.in === 'path') draft.path[field.name] = value;
  if (field.in === 'query') draft.query.push([field.name, value]);
  if (field.in === 'body') draft.body = { ...(draft.body as object), [field.name]: value };
}

function someField(random: Random, draft: Draft): Field | undefined {
  const fields = draft.operation.fields.filter((field) => field.in !== 'header');
  return fields.length > 0 ? random.pick(fields) : undefined;
}

type Flaw = (random: Random, draft: Draft, sources: Sources) => void;

const withField =
  (value: (random: Random, field: Field, pools: Pools) => unknown): Flaw =>
  (random, draft, { pools }) => {
    const field = someField(random, draft);
    if (field) setField(draft, field, value(random, field, pools));
  };

/** Ways to be wrong, or to be right at the edge. */
const FLAWS: Record<string, Flaw> = {
  edge: withField((random, field, pools) => edgeValue(random, field, pools, false)),
  beyond: withField((random, field, pools) => edgeValue(random, field, pools, true)),
  text: withField((random) => random.pick(HOSTILE_TEXTS)),
  value: withField((random) => random.pick(STRANGE_VALUES)),
  extra(random, draft) {
    const name = random.pick(['user_id', 'lumis_cost', ...HOSTILE_TEXTS]);
    const value = random.pick(STRANGE_VALUES);
    if (draft.body === undefined || random.chance(0.3)) draft.query.push([name, value]);
    else draft.payload = withMember(jsonText(draft.body), name, jsonText(value));
  },
  missing(random, draft) {
    const field = someField(random, draft);
    if (field?.in === 'body') delete (draft.body as Record<string, unknown>)?.[field.name];
    if (field?.in === 'path') draft.path[field.name] = '';
  },
  body(random, draft) {
    draft.payload = random.pick(brokenBodies(jsonText(draft.body ?? {})));
  },
  type(random, draft) {
    draft.payload ??= jsonText(draft.body ?? {});
    draft.contentType = random.pick(CONTENT_TYPES);
  },
  header(random, draft) {
    const [name, values] = random.pick(HEADERS);
    draft.headers[name] = random.pick(values);
  },
  credential(random, draft, { credentials, junkCredentials }) {
    const all = [...Object.values(credentials).flat(), ...junkCredentials];
    const one = random.pick([...all, '']);
    if (one === '') delete draft.headers.authorization;
    else draft.headers.authorization = one;
  },
  key(random, draft) {
    const one = random.pick(IDEMPOTENCY_KEYS);
    if (one === undefined) delete draft.headers['idempotency-key'];
    else draft.headers['idempotency-key'] = one;
  },
  path(random, draft) {
    const { url } = written({ ...draft, query: [] });
    const at = url.lastIndexOf('/') + 1;
    draft.rawPath = random.pick([
      url.slice(0, at) + random.pick(BAD_PERCENT),
      url.replace(/\/(?=[^/]*$)/, '//'),
      `${url}/`,
      url.toUpperCase(),
      `${url};a=b`,
      `/..${url}`,
      url + 'x'.repeat(300),
      '/%2e%2e/metrics',
    ]);
  },
  query(random, draft) {
    draft.rawQuery = random.pick(BAD_QUERIES);
  },
};
/** Edges are where most faults were. */
const FLAW_NAMES = [...Object.keys(FLAWS), 'edge', 'edge', 'beyond'];

/** As text, because `__proto__` and a name that is there already are no members of an object. */
function withMember(json: string, name: string, value: string): string {
  return json.replace(/,?}?$/, `${json === '{}' ? '' : ','}${JSON.stringify(name)}:${value}}`);
}

/** Bodies that are no JSON, or JSON that is no object, or too much of it. */
function brokenBodies(json: string): (string | Buffer)[] {
  return [
    ...words(' null [] "" 0 true { {} {"a":1,} []]'),
    ...[' ', `${json}x`, `\ufeff${json}`],
    json.slice(0, -1),
    json.replace('{', '{"a":1,"a":2,'),
    json.replace('}', `,"a":"${'x'.repeat(40_000)}"}`),
    '['.repeat(30_000),
    `{"${'a'.repeat(30_000)}":1}`,
    `{${Array.from({ length: 3000 }, (_, i) => `"k${i}":0`).join(',')}}`,
    Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    Buffer.from(json, 'utf16le'),
    Buffer.alloc(100),
  ];
}

const CONTENT_TYPES = [
  ...words(' text/plain text/html application/x-www-form-urlencoded application/jsonp */* a / ;'),
  ...words('APPLICATION/JSON application/problem+json application/json;; application/json,a/b'),
  ...['multipart/form-data; boundary=x', 'application/json; charset=utf-16'],
];

const LONG = 'y'.repeat(1_000_000);

const HEADERS: [string, string[]][] = [
  ['accept-language', ['en', 'en;q=0.1,es;q=0.2', 'q=1', ',,,;;;', '*', `en;q=${LONG}`, '\xff']],
  ['x-forwarded-for', ['1.2.3.4', '::1%lo', "' OR 1=1", ',,,', LONG, '999.1.1.1, [::1]:80']],
  ['user-agent', ['', LONG, '\xe9\x85\x80', "'; --", '\\u0000']],
  ['accept', ['text/html', 'application/xml;q=1', LONG]],
  ['content-encoding', ['gzip', 'br', 'identity', 'x']],
  ['origin', ['https://evil.example', 'null', '\xff']],
  ['x-request-id', ["' OR 1=1", LONG]],
  ['x-http-method-override', ['DELETE', 'PATCH']],
  ['if-none-match', ['*', '"x"']],
  ['range', ['bytes=0-0', 'bytes=-1', 'x']],
  ['cookie', [LONG, '__proto__=1; a=%ff']],
  ['host', ['', 'evil.example', LONG]],
  ['expect', ['x']],
];

const IDEMPOTENCY_KEYS = [
  ...[undefined, '', ' ', 'k', 'x'.repeat(255), 'x'.repeat(256), 'x'.repeat(10_000), LONG],
  ...['\x7f', '\t', '\xe9', 'a, b', "' OR 1=1", '__proto__', '%00', '~!"#$&'],
];

const BAD_PERCENT = words('% %zz %c0%af %ff %ed%a0%80 %00 %2f %2e%2e %e2%82 \u00e9 %25%30%30');

const BAD_QUERIES = [
  ...words('& = a a=b limit=1&limit=2 limit[]=1 limit[a]=1 limit= limit=1e2 limit=0x10 limit=1.0'),
  ...words('__proto__=1 constructor=1 cursor=&cursor= limit=%00 q=%ff q=%ed%a0%80 lang=%00 %=1 ?'),
  ...words('limit=-1 limit=0 limit=101 limit=1000000000 limit=99999999999999999999 limit=null'),
  `q=${'x'.repeat(10_000)}`,
  Array.from({ length: 2000 }, (_, i) => `a${i}=1`).join('&'),
  `q=${'(a%2B)%2B'.repeat(20)}`,
];

const INSERTS = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  '\0',
  ' ',
  '0\r\n\r\n',
  'Transfer-Encoding: chunked\r\n',
];

/** `text` with one to three changes: flipped, cut out, repeated, cut off, or something put in. */
export function mutated(random: Random, text: string): string {
  let changed = text;
  for (let i = random.below(3); i >= 0 && changed !== ''; i -= 1) {
    const at = random.below(changed.length);
    const [before, piece] = [changed.slice(0, at), changed.slice(at, at + 1 + random.below(40))];
    const flipped = piece.charCodeAt(0) ^ (1 << random.below(8));
    const middle = random.pick([
      String.fromCharCode(flipped) + piece.slice(1),
      '',
      piece + piece,
      piece + String.fromCharCode(random.below(256)).repeat(1 + random.below(20)),
      random.pick(INSERTS) + piece,
    ]);
    changed = before + middle + (random.chance(0.1) ? '' : changed.slice(at + piece.length));
  }
  return changed;
}
