-- Upkeep that costs less. A merchant's totals move once per statement and merchant instead of once
-- per row: many confirmations at one merchant in one statement wrote as many versions of its row, and
-- each looked at all those before it. And what cron calls finds what is due by the index: compared
-- with clock_timestamp() it read every pending redemption, also when nothing was due.
--
--   psql "$DATABASE_URL" -f migrations/2026_11_23_lighter_upkeep.sql
--   npx lumis migrate up                                  (the same result, the same record)
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration  constant text := '2026_11_23_lighter_upkeep';
    needed          constant text := '2026_11_22_branches_and_devices';
    obstacle  text;
    item      text;
    tries     integer := 0;
BEGIN
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = pg_catalog, pg_temp;
    PERFORM pg_advisory_xact_lock(hashtext('lumis.migrations'));

    -- Look first. Asked of the catalogue's rows: to_regclass() may answer from before the wait.
    IF EXISTS (SELECT FROM pg_tables t WHERE (t.schemaname, t.tablename) = ('lumis', 'migrations'))
    THEN
        IF EXISTS (SELECT FROM lumis.migrations m WHERE m.name = this_migration) THEN
            RAISE NOTICE 'migration % is already applied; nothing to do', this_migration;
            RETURN;
        END IF;
        SELECT m.name INTO item FROM lumis.migrations m WHERE m.name = needed;
    END IF;
    IF item IS NULL THEN
        RAISE EXCEPTION 'migration % is not applied yet', needed USING ERRCODE = 'LM010',
            DETAIL = 'Migrations are applied in the order of their names.',
            HINT = 'Nothing was changed. npx lumis migrate up applies all of them in order.';
    END IF;
    SELECT string_agg(w.grants, ' ') INTO obstacle FROM (
        SELECT format('GRANT CREATE ON SCHEMA rewards TO %I;', current_user) AS grants
        WHERE NOT has_schema_privilege('rewards', 'CREATE')
        UNION
        SELECT format('GRANT %s TO %I;', o.owner::regrole, current_user) FROM (
            SELECT p.proowner AS owner FROM pg_proc p WHERE p.oid IN (
                'rewards.update_merchant_stats()'::regprocedure,
                'rewards.expire_old_redemptions()'::regprocedure)
            UNION ALL
            SELECT c.relowner FROM pg_class c WHERE c.oid = 'rewards.user_redemptions'::regclass
        ) o WHERE NOT pg_has_role(o.owner, 'USAGE')
    ) w;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'role % may not change the redemption system', current_user
            USING ERRCODE = 'insufficient_privilege', HINT = 'Nothing was changed. Run this as the '
                'role that applied the first migration; or, as the owner: ' || obstacle;
    END IF;

    -- A trigger is exchanged between two statements of others: soon, or not at all.
    SET LOCAL lock_timeout = '150ms';
    LOOP
        tries := tries + 1;
        BEGIN
            LOCK TABLE rewards.user_redemptions IN SHARE ROW EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF tries = 16 THEN
                RAISE EXCEPTION 'somebody keeps a lock on rewards.user_redemptions' USING
                    ERRCODE = 'lock_not_available',
                    HINT = 'Nothing was changed. Let it finish; then run this again.';
            END IF;
            PERFORM pg_sleep(0.2 + random() * 0.4);
        END;
    END LOOP;
    SET LOCAL lock_timeout = '5s';

    -- A merchant's totals are its confirmed redemptions: what a statement leaves as such, less what
    -- it found as such. A confirmation adds, a reversal takes back, all else cancels out.
    CREATE OR REPLACE FUNCTION rewards.update_merchant_stats() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        UPDATE rewards.merchants m
        SET total_redemptions = m.total_redemptions + c.redemptions,
            total_lumis_redeemed = m.total_lumis_redeemed + c.lumis
        FROM (
            SELECT s.merchant_id, sum(s.sign) AS redemptions, sum(s.sign * s.lumis_spent) AS lumis
            FROM (
                SELECT validated_by_merchant_id AS merchant_id, lumis_spent, 1 AS sign
                FROM changed WHERE redemption_status = 'confirmed'
                UNION ALL
                SELECT validated_by_merchant_id, lumis_spent, -1
                FROM former WHERE redemption_status = 'confirmed'
            ) s
            GROUP BY s.merchant_id
            HAVING sum(s.sign) <> 0 OR sum(s.sign * s.lumis_spent) <> 0
        ) c
        WHERE m.merchant_id = c.merchant_id;
        RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER trg_update_merchant_stats
        AFTER UPDATE ON rewards.user_redemptions
        REFERENCING OLD TABLE AS former NEW TABLE AS changed
        FOR EACH STATEMENT EXECUTE FUNCTION rewards.update_merchant_stats();

    -- What cron, the worker and psql call: books at most 10,000 due redemptions, oldest first,
    -- skipping those that somebody is acting on right now. Call again until it returns 0. now() finds
    -- them by the index; whether one is due is judged after its lock, by the clock.
    CREATE OR REPLACE FUNCTION rewards.expire_old_redemptions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        due     uuid[];
        one     uuid;
        booked  integer := 0;
    BEGIN
        due := ARRAY(
            SELECT r.redemption_id FROM rewards.user_redemptions r
            WHERE r.redemption_status = 'pending' AND r.code_expires_at <= now()
            ORDER BY r.code_expires_at LIMIT 10000
            FOR NO KEY UPDATE SKIP LOCKED);
        BEGIN
            RETURN lumis.expire_redemptions(due, NULL);
        EXCEPTION WHEN integrity_constraint_violation OR data_exception
            OR SQLSTATE 'LM001' OR SQLSTATE 'LM003' THEN
            RAISE WARNING 'a redemption cannot be expired, booking one by one: %', SQLERRM;
        END;
        -- one row that somebody made impossible must not keep all the others waiting
        FOREACH one IN ARRAY due LOOP
            BEGIN
                booked := booked + lumis.expire_redemptions(ARRAY[one], NULL);
            EXCEPTION WHEN integrity_constraint_violation OR data_exception
                OR SQLSTATE 'LM001' OR SQLSTATE 'LM003' THEN
                RAISE WARNING 'redemption % cannot be expired: %', one, SQLERRM;
            END;
        END LOOP;
        RETURN booked;
    END $$;

    INSERT INTO lumis.migrations (name) VALUES (this_migration);
END
$migration$;
