import type { MemberKey } from './counts.ts';
import type { Legacy } from './legacy.ts';

const LARGEST = 5;
const KINDS = 8;
const IMPOSSIBLE = `IN ('NaN', 'Infinity', '-Infinity')`;
const text = (points: string) => `trim_scale(coalesce(${points}, 0))::text`;

/** One row with one JSON value: `Counts`. Each table is read once, and summed by member. */
export function countingQuery(legacy: Legacy, keys: MemberKey[]): string {
  const { ledger, purchases, balances, offers } = legacy;
  return `WITH entry AS (
    SELECT user_id, count(*) AS n, max(id) AS top,
      sum(quantity::numeric) FILTER (WHERE dtype = 'points') AS points,
      count(*) FILTER (WHERE dtype IS NULL) AS no_dtype,
      count(*) FILTER (WHERE dtype <> 'points') AS other_dtype,
      count(*) FILTER (WHERE quantity IS NULL) AS no_quantity,
      count(*) FILTER (WHERE date IS NULL) AS no_date,
      count(*) FILTER (WHERE quantity::numeric ${IMPOSSIBLE}) AS impossible
    FROM ${ledger.name} GROUP BY user_id
  ), bought AS (
    SELECT user_id, is_purchase, CASE WHEN NOT is_purchase THEN redem_id END AS redem_id,
      count(*) AS n, max(id) AS top, sum(quantity::numeric) AS points,
      count(*) FILTER (WHERE expiration_date IS NULL OR expiration_date > now()) AS valid,
      count(*) FILTER (WHERE redem_id IS NULL OR redem_id NOT IN
        (SELECT o.id::text FROM ${offers.name} o)) AS unknown,
      count(*) FILTER (WHERE quantity::numeric ${IMPOSSIBLE}) AS impossible
    FROM (SELECT *, coalesce(lower(condition1) = 'canjeado', false) AS is_purchase
          FROM ${purchases.name}) p GROUP BY 1, 2, 3
  ), spent AS (
    SELECT user_id, sum(points) AS points, sum(impossible) AS impossible FROM bought GROUP BY 1
  ), stored AS (
    ${
      balances
        ? `SELECT user_id, count(*) AS n, max(balance::numeric) AS balance,
            count(*) FILTER (WHERE balance::numeric ${IMPOSSIBLE}) AS impossible
          FROM ${balances.name} GROUP BY 1`
        : `SELECT NULL::integer AS user_id, 0 AS n, NULL::numeric AS balance, 0 AS impossible
          WHERE false`
    }
  ), member AS (
    SELECT user_id, coalesce(e.points, 0) AS ledger, coalesce(s.points, 0) AS spent,
      b.balance AS stored, b.user_id IS NOT NULL AS has_row,
      coalesce(b.balance, coalesce(e.points, 0) - coalesce(s.points, 0)) - coalesce(e.points, 0)
        AS opening,
      coalesce(e.impossible, 0) + coalesce(s.impossible, 0) + coalesce(b.impossible, 0)
        AS impossible
    FROM entry e FULL JOIN spent s USING (user_id) FULL JOIN stored b USING (user_id)
    WHERE user_id IS NOT NULL
  ), opening AS (
    SELECT *, stored IS NULL OR stored = ledger - spent AS explained FROM member WHERE opening <> 0
  )
  SELECT json_build_object('ledger', ${LEDGER}, 'purchases', ${PURCHASES},
    'balances', (SELECT ${BALANCES} FROM member)::jsonb || jsonb_build_object(
      'unknown', json_build_array(${keys.map(unknownMembers).join(', ')}))
  ) AS counts`;
}

/** Whom the table that the key refers to lacks. */
function unknownMembers({ table, name, references, column }: MemberKey): string {
  const named = [table, name, references, column].map((text) => `'${text.replaceAll("'", "''")}'`);
  return `(SELECT json_build_object('table', ${named[0]}, 'name', ${named[1]},
      'references', ${named[2]}, 'column', ${named[3]}, 'members', count(*),
      'examples', coalesce((array_agg(user_id ORDER BY user_id))[1:5], '{}'))
    FROM member m
    WHERE NOT EXISTS (SELECT FROM ${references} r WHERE r.${column} = m.user_id))`;
}

const LEDGER = `(SELECT json_build_object('rows', coalesce(sum(n), 0), 'largest_id', max(top),
    'members', count(user_id), 'without_member', coalesce(sum(n) FILTER (WHERE user_id IS NULL), 0),
    'without_dtype', coalesce(sum(no_dtype), 0), 'other_dtype', coalesce(sum(other_dtype), 0),
    'without_quantity', coalesce(sum(no_quantity), 0), 'without_date', coalesce(sum(no_date), 0))
  FROM entry)`;

const PURCHASES = `(SELECT json_build_object('rows', coalesce(sum(n), 0), 'largest_id', max(top),
    'purchases', coalesce(sum(n) FILTER (WHERE is_purchase), 0),
    'purchased_points', ${text('sum(points) FILTER (WHERE is_purchase)')},
    'of_unknown_offers', coalesce(sum(unknown) FILTER (WHERE is_purchase), 0),
    'entitlements', coalesce(sum(n) FILTER (WHERE NOT is_purchase), 0),
    'entitlement_points', ${text('sum(points) FILTER (WHERE NOT is_purchase)')},
    'entitlements_valid', coalesce(sum(valid) FILTER (WHERE NOT is_purchase), 0),
    'entitlement_kinds', (SELECT coalesce(json_agg(k), '[]') FROM (
      SELECT redem_id, sum(n) AS rows FROM bought WHERE NOT is_purchase
      GROUP BY redem_id ORDER BY 2 DESC, 1 LIMIT ${KINDS}) k)) FROM bought)`;

const openings = (where: string) => `(SELECT json_build_object('members', count(*),
    'points', ${text('sum(opening)')}) FROM opening WHERE ${where})`;

const range = (points: string, where: string) => `CASE WHEN count(*) FILTER (WHERE ${where}) > 0
    THEN json_build_object('lowest', (min(${points}) FILTER (WHERE ${where}))::text,
      'highest', (max(${points}) FILTER (WHERE ${where}))::text) END`;

const BALANCES = `json_build_object(
    'stored', coalesce((SELECT sum(n) FROM stored WHERE user_id IS NOT NULL), 0),
    'stored_points', ${text('sum(stored)')},
    'without_stored', count(*) FILTER (WHERE NOT has_row),
    'negative', count(*) FILTER (WHERE coalesce(stored, ledger - spent) < 0),
    'fractional', count(*) FILTER (WHERE ledger + opening <> trunc(ledger + opening)),
    'null_balance', count(*) FILTER (WHERE has_row AND stored IS NULL),
    'null_member', coalesce((SELECT sum(n) FROM stored WHERE user_id IS NULL), 0),
    'drifted', count(*) FILTER (WHERE stored <> ledger - spent),
    'drifted_points', ${text('sum(stored - (ledger - spent)) FILTER (WHERE stored <> ledger - spent)')},
    'opening', (SELECT json_build_object('members', count(*), 'points', ${text('sum(opening)')},
      'range', ${range('opening', 'true')},
      'by_purchases', ${openings('explained')}, 'by_drift', ${openings('NOT explained')},
      'largest', (SELECT coalesce(json_agg(l), '[]') FROM (
        SELECT user_id, ${text('opening')} AS points, ${text('ledger + opening')} AS balance,
          ${text('ledger')} AS ledger, ${text('spent')} AS purchases
        FROM opening ORDER BY abs(opening) DESC, user_id LIMIT ${LARGEST}) l)) FROM opening),
    'storing', ${range('ledger + opening', 'stored IS NULL')},
    'impossible', json_build_object('rows', (SELECT coalesce(sum(impossible), 0) FROM (
        SELECT impossible FROM entry UNION ALL SELECT impossible FROM spent
        UNION ALL SELECT impossible FROM stored) i),
      'members', (SELECT coalesce(json_agg(user_id), '[]') FROM (
        SELECT user_id FROM member WHERE impossible > 0 ORDER BY 1 LIMIT 20) i)))`;
