-- Branches of a merchant, the phones that were paired with one, and the codes that pair a phone.
-- A device acts for its merchant until it is revoked, its branch closed or its merchant stopped;
-- lumis.merchant_may_act, which every deciding statement asks, knows of all three.
--
--   psql "$DATABASE_URL" -f migrations/2026_11_22_branches_and_devices.sql
--   npx lumis migrate up                                  (the same result, the same record)
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration  constant text := '2026_11_22_branches_and_devices';
    needed          constant text := '2025_10_17_redemption_system';
    obstacle  text;
    part      record;
    item      text;
    tries     integer := 0;
BEGIN
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = pg_catalog, pg_temp;
    PERFORM pg_advisory_xact_lock(hashtext('lumis.migrations'));

    ------------------------------------------------------------------------------------------
    -- Look first. Asked of the catalogue's rows: to_regclass() may answer from before the wait.
    ------------------------------------------------------------------------------------------
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
            DETAIL = 'Branches and devices belong to the merchants that it makes.',
            HINT = 'Nothing was changed. npx lumis migrate up applies all of them in order.';
    END IF;
    SELECT string_agg(format('lumis.%I', c.relname), ', ' ORDER BY 1) INTO obstacle
    FROM pg_class c WHERE c.relnamespace = 'lumis'::regnamespace
      AND c.relname IN ('branches', 'devices', 'pairings');
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'the names that this migration needs are in use: %', obstacle
            USING ERRCODE = 'LM010', HINT = 'Nothing was changed. Rename what is worth keeping.';
    END IF;
    SELECT string_agg(w.grants, ' ') INTO obstacle FROM (
        SELECT format('GRANT CREATE ON SCHEMA lumis TO %I;', current_user) AS grants
        WHERE NOT has_schema_privilege('lumis', 'CREATE')
        UNION ALL
        SELECT format('GRANT REFERENCES ON rewards.merchants TO %I;', current_user)
        WHERE NOT has_table_privilege('rewards.merchants', 'REFERENCES')
        UNION ALL
        SELECT format('GRANT %s TO %I;', p.proowner::regrole, current_user) FROM pg_proc p
        WHERE p.oid = 'lumis.merchant_may_act(uuid, text, text)'::regprocedure
          AND NOT pg_has_role(p.proowner, 'USAGE')
    ) w;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'role % may not change the redemption system', current_user
            USING ERRCODE = 'insufficient_privilege', HINT = 'Nothing was changed. Run this as the '
                'role that applied the first migration; or, as the owner: ' || obstacle;
    END IF;

    -- A foreign key keeps a confirm waiting: soon, or not at all.
    SET LOCAL lock_timeout = '150ms';
    LOOP
        tries := tries + 1;
        BEGIN
            LOCK TABLE rewards.merchants IN SHARE ROW EXCLUSIVE MODE;
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF tries = 16 THEN
                RAISE EXCEPTION 'somebody keeps a lock on rewards.merchants' USING
                    ERRCODE = 'lock_not_available',
                    HINT = 'Nothing was changed. Let it finish; then run this again.';
            END IF;
            PERFORM pg_sleep(0.2 + random() * 0.4);
        END;
    END LOOP;
    SET LOCAL lock_timeout = '5s';

    CREATE TABLE lumis.branches (
        branch_id    uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        merchant_id  uuid NOT NULL REFERENCES rewards.merchants,
        branch_name  text NOT NULL,
        time_zone    text NOT NULL,                -- where the days of its till begin
        is_active    boolean NOT NULL DEFAULT true,
        created_at   timestamptz NOT NULL DEFAULT now(),
        updated_at   timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT branches_of_merchant UNIQUE (branch_id, merchant_id),
        CONSTRAINT branches_have_a_name CHECK (btrim(branch_name) <> '')
    );
    CREATE UNIQUE INDEX branches_name ON lumis.branches (merchant_id, branch_name)
        WHERE is_active;                           -- a closed one's name is free
    CREATE INDEX branches_merchant ON lumis.branches (merchant_id, created_at, branch_id);

    CREATE TABLE lumis.devices (
        device_id     text PRIMARY KEY,            -- the id in its token
        merchant_id   uuid NOT NULL,
        branch_id     uuid NOT NULL,
        device_name   text NOT NULL,
        scopes        text[] NOT NULL,
        secret_hash   bytea NOT NULL,              -- SHA-256 of the token's secret, 190 random bits
        created_by    text NOT NULL,
        created_at    timestamptz NOT NULL DEFAULT now(),
        last_seen_at  timestamptz,                 -- moves at most once a minute
        revoked_at    timestamptz,
        CONSTRAINT devices_branch FOREIGN KEY (branch_id, merchant_id)
            REFERENCES lumis.branches (branch_id, merchant_id),
        CONSTRAINT devices_scopes_known
            CHECK ('scan' = ANY (scopes) AND scopes <@ ARRAY['scan', 'reverse'])
    ) WITH (fillfactor = 80);
    CREATE INDEX devices_merchant ON lumis.devices (merchant_id, created_at, device_id);
    CREATE INDEX devices_of_branch ON lumis.devices (branch_id);

    CREATE TABLE lumis.pairings (
        code_hash    bytea PRIMARY KEY,            -- SHA-256 of the code: it is shown once
        merchant_id  uuid NOT NULL,
        branch_id    uuid NOT NULL,
        device_id    text REFERENCES lumis.devices,  -- whose token is replaced; NULL: a new one
        device_name  text,
        scopes       text[] NOT NULL,
        created_by   text NOT NULL,
        created_at   timestamptz NOT NULL DEFAULT now(),
        expires_at   timestamptz NOT NULL,
        used_at      timestamptz,
        CONSTRAINT pairings_branch FOREIGN KEY (branch_id, merchant_id)
            REFERENCES lumis.branches (branch_id, merchant_id)
    );
    CREATE INDEX pairings_merchant ON lumis.pairings (merchant_id, created_at);

    -- May this merchant act? With a merchant key: its id alone. With HTTP Basic: no key, and the
    -- hash that was proven. With a device: its id, and as hexadecimal the hash that its secret
    -- proved, which is another one after the device was paired anew. Read by the statement that
    -- decides, so that a revocation holds at once.
    CREATE OR REPLACE FUNCTION lumis.merchant_may_act(merchant uuid, key text, proven_hash text)
    RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT EXISTS (
            SELECT FROM rewards.merchants m
            WHERE m.merchant_id = merchant AND m.is_active AND CASE
                WHEN key IS NULL THEN m.api_key_hash = proven_hash
                WHEN proven_hash IS NULL THEN
                    EXISTS (SELECT FROM lumis.merchant_keys k WHERE k.key_id = key
                            AND k.merchant_id = merchant AND k.revoked_at IS NULL)
                ELSE EXISTS (SELECT FROM lumis.devices d JOIN lumis.branches b USING (branch_id)
                             WHERE d.device_id = key AND d.merchant_id = merchant
                               AND d.revoked_at IS NULL AND b.is_active
                               AND encode(d.secret_hash, 'hex') = proven_hash) END)
    $$;

    ------------------------------------------------------------------------------------------
    -- What an earlier `migrate down` put aside comes back whole, in the order of the foreign keys.
    ------------------------------------------------------------------------------------------
    FOR part IN
        SELECT w.name
        FROM unnest(ARRAY['branches', 'devices', 'pairings']) WITH ORDINALITY w(name, ord)
        WHERE to_regclass('lumis_archive.' || w.name) IS NOT NULL ORDER BY w.ord
    LOOP
        SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO item
        FROM pg_attribute a WHERE a.attrelid = to_regclass('lumis_archive.' || part.name)
          AND a.attnum > 0 AND NOT a.attisdropped;
        EXECUTE format('INSERT INTO lumis.%1$I (%2$s) SELECT %2$s FROM lumis_archive.%1$I',
            part.name, item);
    END LOOP;
    IF to_regclass('lumis_archive.branches') IS NOT NULL THEN
        DROP TABLE lumis_archive.branches, lumis_archive.devices, lumis_archive.pairings;
        IF NOT EXISTS (SELECT FROM pg_class c
            WHERE c.relnamespace = to_regnamespace('lumis_archive')) THEN
            DROP SCHEMA lumis_archive;
        END IF;
        RAISE NOTICE 'restored branches and devices, which an earlier migrate down had put aside';
    END IF;

    INSERT INTO lumis.migrations (name) VALUES (this_migration);
END
$migration$;
