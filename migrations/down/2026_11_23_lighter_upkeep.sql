-- Takes back migrations/2026_11_23_lighter_upkeep.sql: functions and trigger as they were. No data.
--
--   psql "$DATABASE_URL" -f migrations/down/2026_11_23_lighter_upkeep.sql
--   npx lumis migrate down --to 2026_11_22_branches_and_devices   (the same result)
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration  constant text := '2026_11_23_lighter_upkeep';
    obstacle  text;
    item      text;
    tries     integer := 0;
BEGIN
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = pg_catalog, pg_temp;
    PERFORM pg_advisory_xact_lock(hashtext('lumis.migrations'));

    -- asked of the catalogue's rows: to_regclass() may still answer from before the wait
    IF EXISTS (SELECT FROM pg_tables t WHERE (t.schemaname, t.tablename) = ('lumis', 'migrations'))
    THEN
        SELECT m.name INTO item FROM lumis.migrations m WHERE m.name = this_migration;
    END IF;
    IF item IS NULL THEN
        RAISE NOTICE 'migration % is not applied; nothing to do', this_migration;
        RETURN;
    END IF;
    SELECT string_agg(m.name, ', ' ORDER BY m.name) INTO obstacle FROM lumis.migrations m
    WHERE m.name > this_migration;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'later migrations are still applied: %', obstacle USING ERRCODE = 'LM010',
            HINT = 'Take those back first: npx lumis migrate down does it in order.';
    END IF;

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

    -- Merchant totals: confirmed adds, a reversal takes back.
    CREATE OR REPLACE FUNCTION rewards.update_merchant_stats() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        IF OLD.redemption_status = 'pending' AND NEW.redemption_status = 'confirmed' THEN
            UPDATE rewards.merchants
            SET total_redemptions = total_redemptions + 1,
                total_lumis_redeemed = total_lumis_redeemed + NEW.lumis_spent
            WHERE merchant_id = NEW.validated_by_merchant_id;
        ELSIF OLD.redemption_status = 'confirmed' AND NEW.redemption_status = 'cancelled' THEN
            UPDATE rewards.merchants
            SET total_redemptions = total_redemptions - 1,
                total_lumis_redeemed = total_lumis_redeemed - NEW.lumis_spent
            WHERE merchant_id = NEW.validated_by_merchant_id;
        END IF;
        RETURN NULL;
    END $$;
    CREATE OR REPLACE TRIGGER trg_update_merchant_stats
        AFTER UPDATE ON rewards.user_redemptions
        FOR EACH ROW EXECUTE FUNCTION rewards.update_merchant_stats();

    -- What cron, the worker and psql call: books at most 10,000 due redemptions, oldest first,
    -- skipping those that somebody is acting on right now. Call again until it returns 0.
    CREATE OR REPLACE FUNCTION rewards.expire_old_redemptions() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        due     uuid[];
        one     uuid;
        booked  integer := 0;
    BEGIN
        due := ARRAY(
            SELECT r.redemption_id FROM rewards.user_redemptions r
            WHERE r.redemption_status = 'pending' AND r.code_expires_at <= clock_timestamp()
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

    DELETE FROM lumis.migrations m WHERE m.name = this_migration;
END
$migration$;
