import type { Invariant } from './invariant.ts';

/** What is written down about redemptions: audit log, events, stored answers. */
export const RECORDS: readonly Invariant[] = [
  {
    id: 'I9',
    name: 'audit-complete',
    reason: 'Each change of a redemption has exactly one audit row, and no other audit row exists.',
    scoped: true,
    sql: `SELECT coalesce(t.redemption_id, a.redemption_id)::text AS subject,
  CASE WHEN a.action IS NULL THEN t.action || ' is not audited'
    WHEN a.action = t.action THEN format('%s is audited %s times', a.action, a.entries)
    ELSE format('audited as %s, which the redemption is not', a.action) END AS detail
FROM transition t
FULL JOIN (
  SELECT a.redemption_id, a.action, count(*) AS entries FROM audit a
  GROUP BY a.redemption_id, a.action
) a ON a.redemption_id = t.redemption_id AND a.action = t.action
CROSS JOIN kept k
WHERE CASE WHEN a.action IS NULL THEN t.at >= k.audit_since
  WHEN a.action = t.action THEN a.entries > 1
  ELSE EXISTS (SELECT FROM rewards.user_redemptions r WHERE r.redemption_id = a.redemption_id)
    OR NOT EXISTS (SELECT FROM rewards.redemption_audit_log d
      WHERE d.redemption_id = a.redemption_id AND d.action = 'deleted') END`,
  },
  {
    id: 'I10',
    name: 'transitions-legal',
    reason: 'Pending is confirmed, cancelled or expired; confirmed is reversed; nothing follows.',
    scoped: true,
    sql: `SELECT s.redemption_id::text AS subject,
  format('%s after %s (log_id %s)', s.action, s.before, s.log_id) AS detail
FROM (
  SELECT a.redemption_id, a.log_id, a.action,
    lag(a.action) OVER (PARTITION BY a.redemption_id ORDER BY a.log_id) AS before
  FROM audit a
) s
WHERE s.action <> 'deleted'
  AND (s.before, s.action) NOT IN (('created', 'confirmed'), ('created', 'cancelled'),
    ('created', 'expired'), ('confirmed', 'reversed'), ('deleted', 'created'))`,
  },
  {
    id: 'I13',
    name: 'one-answer-one-effect',
    reason: 'A key keeps one answer, and a success it tells of is there and is told of only once.',
    scoped: true,
    sql: `SELECT concat_ws(' ', s.actor_type, s.actor_id, s.key) AS subject,
  'no answer was kept' AS detail
FROM stored s WHERE s.answer IS NULL
UNION ALL
SELECT concat_ws(' ', d.actor_type, d.actor_id, d.key),
  format('answer tells of %s %s, which is not so', d.status, d.id)
FROM (
  SELECT s.actor_type, s.actor_id, s.key, s.answer #>> '{done,redemption_id}' AS id,
    s.answer #>> '{done,redemption_status}' AS status,
    CASE WHEN s.answer #>> '{done,redemption_id}' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
      THEN (s.answer #>> '{done,redemption_id}')::uuid END AS redemption_id
  FROM stored s WHERE s.answer #>> '{done,redemption_id}' IS NOT NULL
) d
LEFT JOIN rewards.user_redemptions r ON r.redemption_id = d.redemption_id
WHERE CASE WHEN r.redemption_id IS NULL THEN NOT EXISTS (
    SELECT FROM rewards.redemption_audit_log a
    WHERE a.redemption_id = d.redemption_id AND a.action = 'deleted')
  WHEN d.status = 'confirmed' THEN r.validated_at IS NULL
  WHEN d.status = 'cancelled' THEN r.redemption_status <> 'cancelled'
  ELSE false END
UNION ALL
SELECT max(concat_ws(' ', s.actor_type, s.actor_id, s.key)),
  format('%s keys tell of %s %s', count(*), s.answer #>> '{done,redemption_status}',
    s.answer #>> '{done,redemption_id}')
FROM stored s
WHERE s.answer -> 'done' ?& ARRAY['redemption_id', 'redemption_status']
GROUP BY s.answer #>> '{done,redemption_id}', s.answer #>> '{done,redemption_status}'
HAVING count(*) > 1`,
  },
  {
    id: 'I14',
    name: 'events-complete',
    reason: 'Each change of a redemption has exactly one event, in its place of the sequence.',
    scoped: true,
    sql: `SELECT coalesce(t.redemption_id, e.redemption_id)::text AS subject,
  format('event %s is %s instead of %s', coalesce(t.sequence::integer, e.sequence),
    coalesce(e.type, 'missing'), coalesce('redemption.' || t.action, 'none')) AS detail
FROM transition t
FULL JOIN event e ON e.redemption_id = t.redemption_id AND e.sequence = t.sequence
CROSS JOIN kept k
WHERE CASE WHEN e.type IS NULL THEN t.at >= k.events_since
  WHEN t.action IS NULL THEN EXISTS (
    SELECT FROM rewards.user_redemptions r WHERE r.redemption_id = e.redemption_id)
  ELSE e.type <> 'redemption.' || t.action END`,
  },
  {
    id: 'I20',
    name: 'devices-act-for-their-merchant',
    reason: 'A device acts for its own merchant alone, and no more once it was revoked.',
    scoped: true,
    sql: `SELECT a.redemption_id::text AS subject,
  format('%s by device %s, which is %s', a.action, a.metadata->>'device_id',
    CASE WHEN d.device_id IS NULL THEN 'unknown'
      WHEN d.merchant_id::text IS DISTINCT FROM a.actor_id THEN 'of another merchant'
      ELSE format('revoked since %s', d.revoked_at) END) AS detail
FROM audit a LEFT JOIN lumis.devices d ON d.device_id = a.metadata->>'device_id'
WHERE a.metadata ? 'device_id'
  AND (d.device_id IS NULL OR d.merchant_id::text IS DISTINCT FROM a.actor_id
    OR d.revoked_at < a.created_at - interval '1 minute')`,
  },
];
