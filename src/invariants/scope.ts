import { byKey } from '../db/statement.ts';

/**
 * What an invariant's SQL looks through, so that it is written once for all rows and for the few
 * that were touched lately:
 *
 *   redemption   the redemptions in scope
 *   posting      the ledger entries that belong to them
 *   audit        their audit rows about changes (not those about looks and refusals)
 *   event        their numbered events
 *   offer        their offers
 *   wallet       all redemptions of their members
 *   entry        all ledger entries of their members that move points
 *   balance      the balances of their members
 *   stored       idempotency keys
 */
const EVERYTHING = `redemption AS NOT MATERIALIZED (TABLE rewards.user_redemptions),
posting AS NOT MATERIALIZED (
  SELECT * FROM public.fact_accumulations WHERE redemption_id IS NOT NULL),
audit AS NOT MATERIALIZED (
  SELECT * FROM rewards.redemption_audit_log
  WHERE redemption_id IS NOT NULL AND action NOT IN ('validated', 'refused')),
event AS NOT MATERIALIZED (
  SELECT * FROM lumis.events WHERE redemption_id IS NOT NULL AND sequence IS NOT NULL),
offer AS NOT MATERIALIZED (TABLE rewards.redemption_offers),
wallet AS NOT MATERIALIZED (TABLE rewards.user_redemptions),
entry AS NOT MATERIALIZED (
  SELECT * FROM public.fact_accumulations WHERE dtype = 'points' AND user_id IS NOT NULL),
balance AS NOT MATERIALIZED (TABLE lumis.balances),
stored AS NOT MATERIALIZED (TABLE lumis.idempotency_keys)`;

// Touched means audited. An audit row's time is older than its commit: whoever looks at intervals
// lets them overlap by more than a transaction may last. What hangs on the few is read by its index
// (`byKey`): of a large table the planner knows too little, and would read all of it for each look.
const TOUCHED_SINCE = `touched AS MATERIALIZED (
  SELECT DISTINCT a.redemption_id FROM (
    SELECT l.redemption_id FROM rewards.redemption_audit_log l
    WHERE l.created_at >= $1::timestamptz
      AND l.redemption_id IS NOT NULL AND l.action NOT IN ('validated', 'refused')
    ORDER BY l.created_at DESC LIMIT $2::bigint) a),
member AS MATERIALIZED (
  SELECT DISTINCT r.user_id FROM touched JOIN rewards.user_redemptions r USING (redemption_id)),
redemption AS NOT MATERIALIZED (
  SELECT r.* FROM touched t
  CROSS JOIN ${byKey('rewards.user_redemptions', 'redemption_id = t.redemption_id')} r),
posting AS NOT MATERIALIZED (
  SELECT f.* FROM touched t
  CROSS JOIN ${byKey('public.fact_accumulations', 'redemption_id = t.redemption_id')} f),
audit AS NOT MATERIALIZED (
  SELECT a.* FROM touched t
  CROSS JOIN ${byKey('rewards.redemption_audit_log', 'redemption_id = t.redemption_id')} a
  WHERE a.action NOT IN ('validated', 'refused')),
event AS NOT MATERIALIZED (
  SELECT e.* FROM touched t CROSS JOIN ${byKey('lumis.events', 'redemption_id = t.redemption_id')} e
  WHERE e.sequence IS NOT NULL),
offer AS NOT MATERIALIZED (
  SELECT o.* FROM rewards.redemption_offers o WHERE o.offer_id IN (
    SELECT r.offer_id FROM touched JOIN rewards.user_redemptions r USING (redemption_id))),
wallet AS NOT MATERIALIZED (
  SELECT r.* FROM member m CROSS JOIN ${byKey('rewards.user_redemptions', 'user_id = m.user_id')} r),
entry AS NOT MATERIALIZED (
  SELECT f.* FROM member m CROSS JOIN ${byKey('public.fact_accumulations', 'user_id = m.user_id')} f
  WHERE f.dtype = 'points'),
balance AS NOT MATERIALIZED (
  SELECT b.* FROM member m CROSS JOIN ${byKey('lumis.balances', 'user_id = m.user_id')} b),
stored AS NOT MATERIALIZED (
  SELECT * FROM lumis.idempotency_keys WHERE created_at >= $1::timestamptz
  ORDER BY created_at DESC LIMIT $2::bigint)`;

/**
 *   transition   what the redemptions in scope went through, as their own columns tell it
 *   kept         since when audit rows and events must still be there. Both are purged, oldest
 *                first: audit rows after 90 days or sooner, but never within a day. Events begin an
 *                hour late, because they are ordered by transaction and not by time.
 */
const DERIVED = `transition AS NOT MATERIALIZED (
  SELECT r.redemption_id, t.sequence, t.action, t.at
  FROM redemption r CROSS JOIN LATERAL (VALUES
    (1, 'created', r.created_at),
    (2, CASE WHEN r.validated_at IS NOT NULL THEN 'confirmed'
             WHEN r.redemption_status <> 'pending' THEN r.redemption_status END,
        coalesce(r.validated_at, r.closed_at)),
    (3, CASE WHEN r.validated_at IS NOT NULL AND r.redemption_status = 'cancelled'
             THEN 'reversed' END, r.closed_at)
  ) AS t(sequence, action, at)
  WHERE t.action IS NOT NULL),
kept AS MATERIALIZED (
  SELECT greatest(now() - interval '89 days', least(now() - interval '1 day',
      (SELECT min(a.created_at) FROM rewards.redemption_audit_log a))) AS audit_since,
    least(now() - interval '1 day', (SELECT e.created_at + interval '1 hour'
      FROM lumis.events e ORDER BY e.xid, e.id LIMIT 1)) AS events_since)`;

/** What stands before an invariant's SQL when all rows are checked. */
export const WITH_EVERYTHING = `WITH ${EVERYTHING},\n${DERIVED}`;

/**
 * The same for redemptions touched since `$1`, a timestamptz, with all that hangs on them; of `$2`
 * changes and as many keys at most, the newest.
 */
export const WITH_TOUCHED_SINCE = `WITH ${TOUCHED_SINCE},\n${DERIVED}`;
