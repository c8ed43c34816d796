-- Takes back migrations/2026_11_24_lighter_audit.sql: function and constraint as they were. No data.
--
--   psql "$DATABASE_URL" -f migrations/down/2026_11_24_lighter_audit.sql
--   npx lumis migrate down --to 2026_11_23_lighter_upkeep   (the same result)
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration  constant text := '2026_11_24_lighter_audit';
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
            LOCK TABLE rewards.redemption_audit_log IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF tries = 16 THEN
                RAISE EXCEPTION 'somebody keeps a lock on rewards.redemption_audit_log' USING
                    ERRCODE = 'lock_not_available',
                    HINT = 'Nothing was changed. Let it finish; then run this again.';
            END IF;
            PERFORM pg_sleep(0.2 + random() * 0.4);
        END;
    END LOOP;
    SET LOCAL lock_timeout = '5s';

    ALTER TABLE rewards.redemption_audit_log
        DROP CONSTRAINT audit_action_known,
        ADD CONSTRAINT audit_action_known CHECK (action IN ('created', 'validated', 'confirmed',
            'cancelled', 'reversed', 'expired', 'refused', 'deleted')) NOT VALID;

    CREATE OR REPLACE FUNCTION rewards.audit_redemption_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        who     jsonb;
        done    text;
        is_new  boolean := TG_OP = 'INSERT';
        r       rewards.user_redemptions;
    BEGIN
        IF TG_OP = 'DELETE' THEN
            done := 'deleted';
            r := OLD;
        ELSE
            r := NEW;
            IF is_new THEN
                IF NEW.redemption_status <> 'pending' THEN
                    RAISE EXCEPTION 'a redemption begins as pending, not as %',
                        NEW.redemption_status USING ERRCODE = 'LM001';
                END IF;
                done := 'created';
                who := NEW.changed_by;
            ELSE
                IF (NEW.redemption_id, NEW.user_id, NEW.offer_id, NEW.lumis_spent,
                    NEW.redemption_code) IS DISTINCT FROM (OLD.redemption_id, OLD.user_id,
                    OLD.offer_id, OLD.lumis_spent, OLD.redemption_code) THEN
                    RAISE EXCEPTION 'redemption %: member, offer, price and code are frozen',
                        OLD.redemption_id USING ERRCODE = 'LM001';
                END IF;
                IF NEW.redemption_status = OLD.redemption_status THEN
                    RETURN NULL;
                END IF;
                done := CASE
                    WHEN OLD.redemption_status = 'pending' THEN NEW.redemption_status
                    WHEN OLD.redemption_status = 'confirmed'
                         AND NEW.redemption_status = 'cancelled'
                         AND NEW.cancellation_reason IS NOT NULL THEN 'reversed'
                END;
                IF done IS NULL THEN
                    RAISE EXCEPTION 'redemption %: % cannot become %', OLD.redemption_id,
                        OLD.redemption_status, NEW.redemption_status USING ERRCODE = 'LM001',
                        HINT = 'pending becomes confirmed, cancelled or expired; confirmed becomes '
                               'cancelled with a cancellation_reason.';
                END IF;
                IF NEW.changed_by IS DISTINCT FROM OLD.changed_by THEN
                    who := NEW.changed_by;
                END IF;
            END IF;
        END IF;
        INSERT INTO rewards.redemption_audit_log
            (redemption_id, action, actor_type, actor_id, ip_address, user_agent, request_id, metadata)
        VALUES (r.redemption_id, done,
            coalesce(who->>'type', 'system'), coalesce(who->>'id', session_user),
            (who->>'ip')::inet, who->>'agent', who->>'request_id',
            jsonb_strip_nulls(jsonb_build_object('user_id', r.user_id, 'offer_id', r.offer_id,
                'lumis_spent', r.lumis_spent, 'reason', r.cancellation_reason))
                || coalesce(who->'details', '{}'));
        RETURN NULL;
    END $$;

    DELETE FROM lumis.migrations m WHERE m.name = this_migration;
END
$migration$;

-- Every row was checked when it was written; this says so, and keeps nobody waiting.
SELECT 'ALTER TABLE rewards.redemption_audit_log VALIDATE CONSTRAINT audit_action_known'
FROM pg_catalog.pg_constraint
WHERE conname = 'audit_action_known' AND NOT convalidated
    AND conrelid = pg_catalog.to_regclass('rewards.redemption_audit_log')
\gexec
