-- Takes back migrations/2026_11_22_branches_and_devices.sql.
--
--   psql "$DATABASE_URL" -f migrations/down/2026_11_22_branches_and_devices.sql
--   npx lumis migrate down --to 2025_10_17_redemption_system      (the same result)
--
-- Branches, devices and pairings are put aside whole in schema lumis_archive, from which the next
-- `up` brings them back, their tokens too. Until then no device may act.
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration  constant text := '2026_11_22_branches_and_devices';
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

    -- All locks at once, or none: waiting with some in hand would stall whoever needs the others.
    SET LOCAL lock_timeout = '150ms';
    LOOP
        tries := tries + 1;
        BEGIN
            LOCK TABLE rewards.merchants, lumis.branches, lumis.devices, lumis.pairings
                IN ACCESS EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF tries = 16 THEN
                RAISE EXCEPTION 'somebody keeps a lock on the tables of the programme' USING
                    ERRCODE = 'lock_not_available', HINT = 'Nothing was changed. Stop all '
                    'processes of the redemption system; then run this again.';
            END IF;
            PERFORM pg_sleep(0.2 + random() * 0.4);
        END;
    END LOOP;
    SET LOCAL lock_timeout = '5s';

    IF EXISTS (SELECT FROM lumis.branches) THEN    -- devices and pairings have a branch
        SELECT string_agg(format('lumis_archive.%I', t.tablename), ', ') INTO obstacle
        FROM pg_tables t
        WHERE t.schemaname = 'lumis_archive' AND t.tablename IN ('branches', 'devices', 'pairings');
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION 'already exists: %', obstacle USING ERRCODE = 'LM010',
                HINT = 'Nothing was changed. Rename schema lumis_archive, then run this again.';
        END IF;
        IF to_regnamespace('lumis_archive') IS NULL THEN
            CREATE SCHEMA lumis_archive;
        END IF;
        CREATE TABLE lumis_archive.branches AS TABLE lumis.branches;
        CREATE TABLE lumis_archive.devices AS TABLE lumis.devices;
        CREATE TABLE lumis_archive.pairings AS TABLE lumis.pairings;
        RAISE NOTICE 'branches and devices were put aside in schema lumis_archive';
    END IF;

    -- as the migration before made it
    CREATE OR REPLACE FUNCTION lumis.merchant_may_act(merchant uuid, key text, proven_hash text)
    RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT EXISTS (
            SELECT FROM rewards.merchants m
            WHERE m.merchant_id = merchant AND m.is_active
              AND CASE WHEN key IS NULL THEN m.api_key_hash = proven_hash
                  ELSE EXISTS (SELECT FROM lumis.merchant_keys k WHERE k.key_id = key
                               AND k.merchant_id = merchant AND k.revoked_at IS NULL) END)
    $$;
    DROP TABLE lumis.pairings;
    DROP TABLE lumis.devices;
    DROP TABLE lumis.branches;
    DELETE FROM lumis.migrations m WHERE m.name = this_migration;
END
$migration$;
