import type { Invariant } from './invariant.ts';

/** Totals, the work of jobs, and the guards in the database that all else relies on. */
export const UPKEEP: readonly Invariant[] = [
  {
    id: 'I11',
    name: 'merchant-totals-recount',
    reason: 'The totals of a merchant are the count and the sum of what it confirmed.',
    // a recount reads the whole history of every merchant that is open today
    scoped: false,
    sql: `SELECT m.merchant_id::text AS subject,
  format('totals %s and %s, recount %s and %s', m.total_redemptions, m.total_lumis_redeemed,
    coalesce(r.redemptions, 0), coalesce(r.lumis, 0)) AS detail
FROM rewards.merchants m
LEFT JOIN (
  SELECT r.validated_by_merchant_id AS merchant_id, count(*) AS redemptions,
    sum(r.lumis_spent) AS lumis
  FROM redemption r WHERE r.redemption_status = 'confirmed'
  GROUP BY r.validated_by_merchant_id
) r ON r.merchant_id = m.merchant_id
WHERE m.total_redemptions <> coalesce(r.redemptions, 0)
  OR m.total_lumis_redeemed <> coalesce(r.lumis, 0)`,
  },
  {
    id: 'I15',
    name: 'expiry-booked',
    reason: 'What a code held goes back soon after it expired, even if nobody asks about it.',
    // All rows, always: what is overdue was not touched. Oldest first and limited, or the planner
    // would reckon that many are overdue and read them all; the index meets the first one at once.
    scoped: true,
    sql: `SELECT r.redemption_id::text AS subject,
  format('pending, expired at %s', r.code_expires_at) AS detail
FROM rewards.user_redemptions r
WHERE r.redemption_status = 'pending' AND r.code_expires_at < now() - interval '2 hours'
ORDER BY r.code_expires_at LIMIT 100`,
  },
  {
    id: 'I16',
    name: 'events-dispatched',
    reason: 'An event that waits longer than a few minutes means that no webhook leaves any more.',
    scoped: true,
    // Judged as the dispatcher reads: transactions yet to come are those of another server, whose
    // dump was restored here, and a cursor among them begins anew.
    sql: `SELECT d.reader AS subject,
  format('event %s of transaction %s waits since %s', e.id, e.xid, e.created_at) AS detail
FROM (VALUES ('dispatcher')) AS d(reader)
CROSS JOIN pg_snapshot_xmax(pg_current_snapshot()) AS next(xid)
LEFT JOIN lumis.event_cursors c ON c.reader = d.reader AND c.xid < next.xid
CROSS JOIN LATERAL (
  SELECT e.id, e.xid, e.created_at FROM lumis.events e
  WHERE (e.xid, e.id) > (coalesce(c.xid, '0'), coalesce(c.id, 0)) AND e.xid < next.xid
  ORDER BY e.xid, e.id LIMIT 1
) e
WHERE e.created_at < now() - interval '15 minutes'`,
  },
  {
    id: 'I19',
    name: 'guards-in-place',
    reason: 'A trigger switched off or a unique index dropped lets everything else drift unseen.',
    scoped: true,
    // `fires` is tgtype: 1 each row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate
    sql: `SELECT g.name AS subject,
  CASE WHEN t.oid IS NULL THEN 'trigger is missing'
    WHEN t.tgenabled NOT IN ('O', 'A') THEN 'trigger is disabled'
    ELSE 'trigger is not the one that was migrated' END AS detail
FROM (VALUES
  ('fact_accumulations', 'trg_ledger_balances', 'lumis.apply_ledger_entries', 4),
  ('fact_accumulations', 'trg_ledger_immutable', 'lumis.keep_ledger_immutable', 1+2+8+16),
  ('fact_accumulations', 'trg_ledger_never_truncated', 'lumis.keep_ledger_immutable', 2+32),
  ('fact_balance_points', 'trg_balance_booked', 'lumis.book_balance_change', 1+4+8+16),
  ('fact_balance_points', 'trg_balance_never_truncated', 'lumis.keep_ledger_immutable', 2+32),
  ('fact_redemptions_legacy', 'trg_purchase_noted', 'lumis.note_purchase', 1+4+8+16),
  ('user_redemptions', 'trg_audit_redemption_changes', 'rewards.audit_redemption_change',
    1+4+8+16),
  ('user_redemptions', 'trg_update_merchant_stats', 'rewards.update_merchant_stats', 16)
) AS g(tab, name, calls, fires)
-- where a legacy system was taken over, its tables may be in either schema, and none elsewhere
LEFT JOIN pg_class c ON c.relname = g.tab AND c.relkind = 'r'
  AND c.relnamespace IN (to_regnamespace('public'), to_regnamespace('rewards'))
LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = g.name
LEFT JOIN pg_proc f ON f.oid = t.tgfoid
WHERE (c.oid IS NOT NULL OR g.tab IN ('fact_accumulations', 'user_redemptions'))
  AND (t.oid IS NULL OR t.tgenabled NOT IN ('O', 'A') OR t.tgtype <> g.fires
  OR t.tgqual IS NOT NULL OR f.pronamespace::regnamespace || '.' || f.proname <> g.calls)
UNION ALL
SELECT g.name, 'unique index is missing or not valid'
FROM (VALUES (coalesce(to_regclass('rewards.fact_accumulations_redemption_kind')::text,
    'public.fact_accumulations_redemption_kind')), ('rewards.idx_redemptions_code'),
  ('rewards.idx_redemptions_landing'), ('lumis.events_redemption'),
  ('lumis.idempotency_keys_pkey'), ('lumis.balances_pkey')) AS g(name)
LEFT JOIN pg_index i ON i.indexrelid = to_regclass(g.name)
WHERE (g.name <> 'lumis.balances_pkey'   -- a view where the old system stores the balances
    OR (SELECT b.relkind = 'r' FROM pg_class b WHERE b.oid = to_regclass('lumis.balances')))
  AND (i.indisunique AND i.indisvalid AND i.indisready) IS NOT TRUE
UNION ALL
SELECT 'session_replication_role', format('is %s: triggers do not fire', s.setting)
FROM pg_settings s
WHERE s.name = 'session_replication_role' AND s.setting = 'replica'`,
  },
];
