-- Audit rows that cost less. Each change of a redemption writes one, and PostgreSQL reads the table's
-- CHECK anew for each: as one list of words instead of eight casts that is half the work. And the
-- trigger looks at the row where it is, without a copy.
--
--   psql "$DATABASE_URL" -f migrations/2026_11_24_lighter_audit.sql
--   npx lumis migrate up                                  (the same result, the same record)
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration  constant text := '2026_11_24_lighter_audit';
    needed          constant text := '2026_11_23_lighter_upkeep';
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
            SELECT p.proowner AS owner FROM pg_proc p
            WHERE p.oid = 'rewards.audit_redemption_change()'::regprocedure
            UNION ALL
            SELECT c.relowner FROM pg_class c
            WHERE c.oid = 'rewards.redemption_audit_log'::regclass
        ) o WHERE NOT pg_has_role(o.owner, 'USAGE')
    ) w;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'role % may not change the redemption system', current_user
            USING ERRCODE = 'insufficient_privilege', HINT = 'Nothing was changed. Run this as the '
                'role that applied the first migration; or, as the owner: ' || obstacle;
    END IF;

    -- A constraint is exchanged between two statements of others: soon, or not at all.
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
        ADD CONSTRAINT audit_action_known CHECK (action = ANY ('{created,validated,confirmed,'
            'cancelled,reversed,expired,refused,deleted}'::text[])) NOT VALID;

    -- Writes the audit row of each change of state, and guards what may never change.
    CREATE OR REPLACE FUNCTION rewards.audit_redemption_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        who     jsonb;
        done    text;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.redemption_status <> 'pending' THEN
                RAISE EXCEPTION 'a redemption begins as pending, not as %',
                    NEW.redemption_status USING ERRCODE = 'LM001';
            END IF;
            done := 'created';
            who := NEW.changed_by;
        ELSIF TG_OP = 'DELETE' THEN
            done := 'deleted';
            NEW := OLD;
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
        INSERT INTO rewards.redemption_audit_log
            (redemption_id, action, actor_type, actor_id, ip_address, user_agent, request_id, metadata)
        VALUES (NEW.redemption_id, done,
            coalesce(who->>'type', 'system'), coalesce(who->>'id', session_user),
            (who->>'ip')::inet, who->>'agent', who->>'request_id',
            jsonb_strip_nulls(jsonb_build_object('user_id', NEW.user_id, 'offer_id', NEW.offer_id,
                'lumis_spent', NEW.lumis_spent, 'reason', NEW.cancellation_reason))
                || coalesce(who->'details', '{}'));
        RETURN NULL;
    END $$;

    INSERT INTO lumis.migrations (name) VALUES (this_migration);
END
$migration$;

-- Every row was checked when it was written; this says so, and keeps nobody waiting.
SELECT 'ALTER TABLE rewards.redemption_audit_log VALIDATE CONSTRAINT audit_action_known'
FROM pg_catalog.pg_constraint
WHERE conname = 'audit_action_known' AND NOT convalidated
    AND conrelid = pg_catalog.to_regclass('rewards.redemption_audit_log')
\gexec
