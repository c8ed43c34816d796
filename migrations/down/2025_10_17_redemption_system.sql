-- Takes back migrations/2025_10_17_redemption_system.sql on a database that was empty before it.
--
--   psql "$DATABASE_URL" -f migrations/down/2025_10_17_redemption_system.sql
--   npx lumis migrate down                                (the same result)
--
-- Nothing is lost: when there is data, all of it is put aside whole in schema lumis_archive, from
-- which the next `up` restores it. One statement: interrupted means nothing happened.
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration constant text := '2025_10_17_redemption_system';
    ours  constant text[] := ARRAY['lumis.job_marks', 'lumis.staff_changes', 'lumis.refusals',
        'lumis.merchant_keys', 'lumis.idempotency_keys', 'lumis.event_cursors', 'lumis.events',
        'lumis.members', 'lumis.balances', 'public.fact_accumulations',
        'rewards.redemption_audit_log', 'rewards.user_redemptions', 'rewards.redemption_offers',
        'rewards.merchants'];
    created   text[];
    obstacle     text;
    item      text;
    has_rows  boolean := false;
    filled    boolean;
BEGIN
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = pg_catalog, pg_temp;
    PERFORM pg_advisory_xact_lock(hashtext('lumis.migrations'));

    -- asked of the catalogue's rows: to_regclass() may still answer from before the wait
    IF NOT EXISTS (SELECT FROM pg_tables t
                   WHERE (t.schemaname, t.tablename) = ('lumis', 'migrations')) THEN
        RAISE NOTICE 'migration % is not applied; nothing to do', this_migration;
        RETURN;
    END IF;
    SELECT m.created INTO created FROM lumis.migrations m WHERE m.name = this_migration;
    IF NOT FOUND THEN
        RAISE NOTICE 'migration % is not applied; nothing to do', this_migration;
        RETURN;
    END IF;
    SELECT string_agg(m.name, ', ' ORDER BY m.name) INTO obstacle FROM lumis.migrations m
        WHERE m.name <> this_migration;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'later migrations are still applied: %', obstacle USING ERRCODE = 'LM010',
            HINT = 'Take those back first: npx lumis migrate down does it in order.';
    END IF;

    FOREACH item IN ARRAY ours LOOP
        EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', item);
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', item) INTO filled;
        has_rows := has_rows OR (filled AND item <> 'lumis.event_cursors');
    END LOOP;
    IF has_rows THEN
        IF to_regnamespace('lumis_archive') IS NOT NULL THEN
            RAISE EXCEPTION 'schema lumis_archive already exists' USING ERRCODE = 'LM010',
                HINT = 'Nothing was changed. Rename that schema, then run this again.';
        END IF;
        CREATE SCHEMA lumis_archive;
        FOREACH item IN ARRAY ours LOOP
            EXECUTE format('CREATE TABLE lumis_archive.%I AS TABLE %s',
                split_part(item, '.', 2), item);
        END LOOP;
        RAISE NOTICE 'all data was put aside in schema lumis_archive';
    END IF;

    DROP TRIGGER trg_update_merchant_stats ON rewards.user_redemptions;
    DROP TRIGGER trg_audit_redemption_changes ON rewards.user_redemptions;
    DROP TRIGGER trg_ledger_immutable ON public.fact_accumulations;
    DROP TRIGGER trg_ledger_balances ON public.fact_accumulations;
    DROP FUNCTION rewards.expire_old_redemptions();
    DROP FUNCTION rewards.update_merchant_stats();
    DROP FUNCTION rewards.audit_redemption_change();
    DROP FUNCTION lumis.expire_redemptions(uuid[], jsonb);
    DROP FUNCTION lumis.close_redemptions(uuid[], text, timestamptz, jsonb[], text[], boolean[]);
    DROP FUNCTION lumis.merchant_may_act(uuid, text, text);
    DROP FUNCTION lumis.keep_ledger_immutable();
    DROP FUNCTION lumis.apply_ledger_entries();
    DROP FUNCTION lumis.offer_refusal(boolean, timestamptz, timestamptz, integer, timestamptz);
    -- never CASCADE: what somebody else built on these tables stops us here, by name
    FOREACH item IN ARRAY ours LOOP
        EXECUTE format('DROP TABLE %s', item);
    END LOOP;
    DROP TABLE lumis.migrations;
    DROP SCHEMA IF EXISTS lumis_worker CASCADE;   -- the job queue's own; it holds no data of ours
    FOREACH item IN ARRAY created LOOP
        IF item = 'pg_stat_statements' THEN
            DROP EXTENSION IF EXISTS pg_stat_statements;
        ELSE
            EXECUTE format('DROP SCHEMA %I', item);
        END IF;
    END LOOP;
END
$migration$;
