import type { Invariant } from './invariant.ts';

/** Balances and the ledger. */
export const POINTS: readonly Invariant[] = [
  {
    id: 'I1',
    name: 'balance-equals-ledger',
    reason: 'A balance is nothing but the sum of its ledger entries that move points.',
    scoped: true,
    sql: `SELECT coalesce(b.user_id, l.user_id)::text AS subject,
  format('balance %s, ledger %s', coalesce(b.balance, 0), coalesce(l.points, 0)) AS detail
FROM balance b
FULL JOIN (SELECT e.user_id, sum(e.quantity) AS points FROM entry e GROUP BY e.user_id) l
  ON l.user_id = b.user_id
WHERE coalesce(b.balance, 0) <> coalesce(l.points, 0)`,
  },
  {
    id: 'I2',
    name: 'never-spent-below-zero',
    reason: 'Nobody can spend points that are not there; only imports and adjustments make debts.',
    scoped: true,
    // Entries do not tell in which order others applied theirs: an id is taken before the wait for
    // the balance's lock, and imports bring ids and dates of their own. So the most favourable
    // order is assumed: whatever was ever given is there from the start, and what was taken by
    // others comes last. Spends and refunds take their ids under the lock; they are in order.
    sql: `SELECT s.user_id::text AS subject,
  format('ledger entry %s spends %s more than there ever was', min(s.id), -min(s.at_most))
    AS detail
FROM (
  SELECT e.user_id, e.id, e.kind,
    coalesce(sum(e.quantity) FILTER (WHERE e.quantity > 0 AND e.kind IS DISTINCT FROM 'refund')
      OVER (PARTITION BY e.user_id), 0)
    + sum(e.quantity) FILTER (WHERE e.kind IN ('spend', 'refund'))
      OVER (PARTITION BY e.user_id ORDER BY e.id) AS at_most
  FROM entry e
) s
WHERE s.kind = 'spend' AND s.at_most < 0
GROUP BY s.user_id`,
  },
  {
    id: 'I3',
    name: 'redemption-paid-once',
    reason: 'A redemption has one spend of its price, and a refund exactly when it gave back.',
    scoped: true,
    sql: `SELECT r.redemption_id::text AS subject,
  format('%s at a price of %s: spend %s, refund %s instead of %s', r.redemption_status,
    r.lumis_spent, coalesce(s.quantity::text, 'missing'), coalesce(f.quantity::text, 'none'),
    coalesce(due.refund::text, 'none')) AS detail
FROM redemption r
CROSS JOIN LATERAL (
  SELECT CASE WHEN r.redemption_status = 'cancelled'
    OR (r.redemption_status = 'expired' AND r.on_expiry = 'refund') THEN r.lumis_spent END AS refund
) due
LEFT JOIN public.fact_accumulations s
  ON s.redemption_id = r.redemption_id AND s.kind = 'spend' AND s.dtype = 'points'
LEFT JOIN public.fact_accumulations f
  ON f.redemption_id = r.redemption_id AND f.kind = 'refund' AND f.dtype = 'points'
WHERE s.quantity IS DISTINCT FROM -r.lumis_spent OR f.quantity IS DISTINCT FROM due.refund`,
  },
  {
    id: 'I4',
    name: 'spends-add-up',
    reason: 'What all redemptions hold or have used is what their ledger entries took, in sum.',
    scoped: false,
    sql: `SELECT 'all' AS subject,
  format('redemptions hold %s, their ledger entries took %s', r.points, f.points) AS detail
FROM (
  SELECT coalesce(sum(r.lumis_spent), 0) AS points FROM redemption r
  WHERE r.redemption_status IN ('pending', 'confirmed')
    OR (r.redemption_status = 'expired' AND r.on_expiry = 'forfeit')
) r
CROSS JOIN (
  SELECT -coalesce(sum(p.quantity), 0) AS points FROM posting p
  WHERE p.dtype = 'points'
    AND EXISTS (SELECT FROM rewards.user_redemptions r WHERE r.redemption_id = p.redemption_id)
) f
WHERE r.points <> f.points`,
  },
  {
    id: 'I8',
    name: 'posting-has-its-redemption',
    reason: 'A ledger entry of a redemption belongs to one that exists, of the same member.',
    scoped: true,
    sql: `SELECT p.redemption_id::text AS subject,
  format('ledger entry %s of member %s, redemption of %s', p.id, p.user_id,
    coalesce('member ' || r.user_id, 'nobody')) AS detail
FROM posting p
LEFT JOIN rewards.user_redemptions r ON r.redemption_id = p.redemption_id
CROSS JOIN kept k
WHERE r.user_id <> p.user_id
  OR (r.redemption_id IS NULL AND p.date >= k.audit_since
    AND NOT EXISTS (SELECT FROM rewards.redemption_audit_log a
      WHERE a.redemption_id = p.redemption_id AND a.action = 'deleted'))`,
  },
];
