-- Takes back migrations/2025_10_17_redemption_system.sql.
--
--   psql "$DATABASE_URL" -f migrations/down/2025_10_17_redemption_system.sql
--   npx lumis migrate down                                (the same result)
--
-- Nothing is lost: what the old system has no place for is put aside whole in schema lumis_archive,
-- from which the next `up` restores it. A legacy points system gets its tables back as they were,
-- with what happened since in its own shape, so that its own formula (entries less purchases) gives
-- what members have. One statement does it all: interrupted means nothing happened.
\set ON_ERROR_STOP on

-- Lets the triggers of a table rest, and wakes those that were awake: what a take-over writes there
-- is no business of theirs.
CREATE OR REPLACE FUNCTION pg_temp.lumis_rest_triggers(tab regclass, resting boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $rest$
DECLARE
    setting  text := 'lumis.resting_' || tab::oid;
    item     record;
BEGIN
    IF resting THEN
        PERFORM set_config(setting, coalesce((SELECT jsonb_object_agg(t.tgname, t.tgenabled)
            FROM pg_trigger t WHERE t.tgrelid = tab AND NOT t.tgisinternal
              AND t.tgenabled <> 'D')::text, '{}'), true);
    END IF;
    FOR item IN SELECT * FROM jsonb_each_text(current_setting(setting)::jsonb) LOOP
        EXECUTE format('ALTER TABLE %s %s TRIGGER %I', tab, CASE WHEN resting THEN 'DISABLE'
            WHEN item.value = 'A' THEN 'ENABLE ALWAYS' WHEN item.value = 'R' THEN 'ENABLE REPLICA'
            ELSE 'ENABLE' END, item.key);
    END LOOP;
END
$rest$;

-- Who may be the reason that a lock never comes.
CREATE OR REPLACE FUNCTION pg_temp.lumis_refuse_waiting() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $waiting$
BEGIN
    RAISE EXCEPTION 'somebody keeps a lock on the tables of the old system'
        USING ERRCODE = 'lock_not_available',
            DETAIL = format('Sessions that have been in a transaction for long: %s. (Those of other '
                'roles are shown to members of pg_read_all_stats alone.)',
            coalesce((SELECT string_agg(format('%s (%s, %s, since %s)', a.pid,
                coalesce(a.usename, '?'), a.state, a.xact_start::timestamptz(0)), ', ')
            FROM pg_stat_activity a WHERE a.datname = current_database()
              AND a.pid <> pg_backend_pid()
              AND a.xact_start < clock_timestamp() - interval '3 seconds'), 'none that is shown')),
            HINT = 'Nothing was switched. Let it finish, or end it with pg_terminate_backend(pid); '
                'then run this again.';
END
$waiting$;
-- The sequence that a column takes its default from; NULL when there is none.
CREATE OR REPLACE FUNCTION pg_temp.lumis_sequence_of(tab regclass, col text) RETURNS regclass
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $sequence$
    SELECT s.oid::regclass
    FROM pg_attribute a
    LEFT JOIN pg_attrdef e ON e.adrelid = a.attrelid AND e.adnum = a.attnum
    JOIN pg_depend d
        ON (d.classid, d.objid) = ('pg_attrdef'::regclass, e.oid)
        OR (d.deptype = 'i' AND (d.refobjid, d.refobjsubid) = (a.attrelid, a.attnum))
    JOIN pg_class s ON s.relkind = 'S' AND s.oid IN (d.objid, d.refobjid)
    WHERE a.attrelid = tab AND a.attname = col LIMIT 1
$sequence$;


DO $timeout$
BEGIN
    PERFORM set_config('statement_timeout', '0', false);
    PERFORM set_config('client_connection_check_interval', '1s', false);
EXCEPTION WHEN invalid_parameter_value THEN
    NULL;  -- not every platform can look whether the client is still there
END
$timeout$;

DO $migration$
DECLARE
    this_migration constant text := '2025_10_17_redemption_system';
    ours      text[] := ARRAY['lumis.job_marks', 'lumis.staff_changes', 'lumis.refusals',
        'lumis.merchant_keys', 'lumis.idempotency_keys', 'lumis.event_cursors', 'lumis.events',
        'lumis.members', 'lumis.balances', 'public.fact_accumulations',
        'rewards.redemption_audit_log', 'rewards.user_redemptions', 'rewards.redemption_offers',
        'rewards.merchants'];
    created   text[];
    home      text;                                -- of the legacy system, if there was one
    switched  timestamptz;                         -- NULL: it had only been prepared
    kept      jsonb;                               -- how it was
    ledger    regclass;
    stored    regclass;                            -- its table of balances, if there is one
    obstacle  text;
    item      text;
    part      record;
    top       bigint;
    tries     integer := 0;
    has_rows  boolean := false;
    filled    boolean;
BEGIN
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = pg_catalog, pg_temp;
    PERFORM pg_advisory_xact_lock(hashtext('lumis.migrations'));

    -- asked of the catalogue's rows: to_regclass() may still answer from before the wait
    IF EXISTS (SELECT FROM pg_tables t WHERE (t.schemaname, t.tablename) = ('lumis', 'take_over'))
    THEN
        SELECT t.home, t.switched_at, t.remembered INTO home, switched, kept FROM lumis.take_over t;
        ledger := home || '.fact_accumulations';
        stored := to_regclass(home || '.fact_balance_points');
        created := ARRAY(SELECT jsonb_array_elements_text(kept->'made'));
    END IF;
    IF EXISTS (SELECT FROM pg_tables t WHERE (t.schemaname, t.tablename) = ('lumis', 'migrations'))
    THEN
        SELECT coalesce((SELECT m.created FROM lumis.migrations m WHERE m.name = this_migration),
            created) INTO created;
        SELECT string_agg(m.name, ', ' ORDER BY m.name) INTO obstacle FROM lumis.migrations m
            WHERE m.name <> this_migration;
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION 'later migrations are still applied: %', obstacle USING ERRCODE = 'LM010',
                HINT = 'Take those back first: npx lumis migrate down does it in order.';
        END IF;
    END IF;
    IF created IS NULL THEN
        RAISE NOTICE 'migration % is not applied; nothing to do', this_migration;
        RETURN;
    END IF;

    ------------------------------------------------------------------------------------------
    -- All locks at once, or none: waiting with some in hand would stall whoever needs the others.
    ------------------------------------------------------------------------------------------
    SET LOCAL lock_timeout = '150ms';
    LOOP
        tries := tries + 1;
        -- who earns holds the ledger before the balances, who buys the other way round
        SELECT string_agg(c.oid::regclass::text, ', ' ORDER BY w.ord) INTO item
        FROM unnest(ARRAY[CASE tries % 2 WHEN 1 THEN
                home || '.fact_accumulations' ELSE home || '.fact_balance_points' END,
            home || '.fact_accumulations', home || '.fact_balance_points',
            home || '.fact_redemptions', home || '.fact_redemptions_legacy',
            home || '.dim_redemptions'] || ours) WITH ORDINALITY AS w(name, ord)
        JOIN pg_class c ON c.oid = to_regclass(w.name);
        BEGIN
            -- the view first, as its readers do, and alone: LOCK TABLE would lock what it reads
            IF to_regclass(home || '.vw_hist_accum_redem') IS NOT NULL THEN
                EXECUTE format('ALTER VIEW %I.vw_hist_accum_redem ALTER COLUMN %I DROP DEFAULT',
                    home, (SELECT a.attname FROM pg_attribute a WHERE a.attnum = 1
                        AND a.attrelid = to_regclass(home || '.vw_hist_accum_redem')));
            END IF;
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', item);
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            IF tries = 16 THEN
                RAISE EXCEPTION 'somebody keeps a lock on the tables of the programme' USING
                    ERRCODE = 'lock_not_available', HINT = 'Nothing was changed. Stop all processes '
                    'of the redemption system; then run this again.';
            END IF;
            PERFORM pg_sleep(0.2 + random() * 0.4);
        END;
    END LOOP;
    SET LOCAL lock_timeout = '5s';
    SET CONSTRAINTS ALL IMMEDIATE;                 -- else their checks would be in the way of DDL

    ------------------------------------------------------------------------------------------
    -- Whole into the archive. What only the take-over itself has written need not be kept.
    ------------------------------------------------------------------------------------------
    IF switched IS NOT NULL THEN
        SELECT EXISTS (SELECT FROM lumis.members m WHERE m.updated_at > switched)
            OR EXISTS (SELECT FROM public.fact_accumulations e WHERE e.kind <> 'opening')
            OR EXISTS (SELECT FROM lumis.purchase_changes)
            OR EXISTS (SELECT FROM rewards.redemption_offers o WHERE o.on_expiry <> 'refund'
                OR (NOT o.is_active AND lumis.offer_fault(o.name_friendly, o.lumis_cost, o.valid_from,
                    o.valid_to) IS NULL)
                OR num_nonnulls(o.stock_quantity, o.merchant_id, o.offer_category, o.terms,
                    o.max_redemptions_per_user, o.code_ttl_minutes) > 0)
            INTO has_rows;
        ours := ARRAY(SELECT o.name FROM unnest(ours) WITH ORDINALITY AS o(name, ord)
            WHERE o.name NOT IN ('public.fact_accumulations', 'rewards.redemption_offers')
              AND (o.name <> 'lumis.balances' OR stored IS NULL) ORDER BY o.ord);
    ELSIF home IS NOT NULL THEN
        ours := '{}';
    END IF;
    FOREACH item IN ARRAY ours LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', item) INTO filled;
        has_rows := has_rows OR (filled AND item <> 'lumis.event_cursors' AND (home IS NULL
            OR item NOT IN ('lumis.members', 'lumis.balances', 'lumis.job_marks')));
    END LOOP;
    IF has_rows THEN
        -- a later migration may have put its own aside there before
        IF to_regclass('lumis_archive.merchants') IS NOT NULL THEN
            RAISE EXCEPTION 'schema lumis_archive already exists' USING ERRCODE = 'LM010',
                HINT = 'Nothing was changed. Rename that schema, then run this again.';
        END IF;
        IF to_regnamespace('lumis_archive') IS NULL THEN
            CREATE SCHEMA lumis_archive;
        END IF;
        FOREACH item IN ARRAY ours || CASE WHEN home IS NULL THEN '{}' ELSE
            ARRAY['rewards.redemption_offers', 'lumis.take_over'] END
        LOOP
            EXECUTE format('CREATE TABLE lumis_archive.%I AS TABLE %s',
                split_part(item, '.', 2), item);
        END LOOP;
        RAISE NOTICE 'all data was put aside in schema lumis_archive';
    END IF;

    IF switched IS NOT NULL THEN
        --------------------------------------------------------------------------------------
        -- Legacy: what happened since, in the shape of the old system
        --------------------------------------------------------------------------------------
        EXECUTE format('DROP TRIGGER trg_ledger_balances ON %1$s;
            DROP TRIGGER trg_ledger_immutable ON %1$s;
            DROP TRIGGER trg_ledger_never_truncated ON %1$s;
            DROP TRIGGER trg_purchase_noted ON %2$I.fact_redemptions_legacy', ledger, home);
        PERFORM pg_temp.lumis_rest_triggers(ledger, true);
        PERFORM pg_temp.lumis_rest_triggers((home || '.fact_redemptions_legacy')::regclass, true);
        EXECUTE format('SELECT max(id) FROM %s', ledger) INTO top;

        IF has_rows THEN
            -- nobody else takes ids now; those of an attempt that was interrupted are free again
            PERFORM setval(pg_temp.lumis_sequence_of(ledger, 'id'), top);
            FOR part IN SELECT c.confrelid::regclass AS users, a.attname AS key
                FROM pg_constraint c
                JOIN pg_attribute u ON u.attrelid = c.conrelid AND u.attname = 'user_id'
                JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.confrelid, c.confkey[1])
                WHERE c.conrelid = to_regclass(home || '.fact_redemptions_legacy')
                  AND c.contype = 'f' AND c.conkey = ARRAY[u.attnum]
            LOOP
                EXECUTE format('SELECT string_agg(DISTINCT r.user_id::text, '', '')
                    FROM rewards.user_redemptions r WHERE NOT EXISTS (
                        SELECT FROM %s u WHERE u.%I = r.user_id)', part.users, part.key) INTO obstacle;
                IF obstacle IS NOT NULL THEN
                    RAISE EXCEPTION '% does not know these members, who have redeemed: %', part.users,
                        obstacle USING ERRCODE = 'LM010', HINT = format('Nothing was changed. Their '
                        'redemptions become purchases, and those demand it: add them to %s.',
                        part.users);
                END IF;
            END LOOP;
            -- Redemptions that hold or have used their points become purchases. Where the old
            -- system allows one row for a member and an offer, that row counts them all.
            SELECT EXISTS (SELECT FROM pg_index i
                WHERE i.indrelid = to_regclass(home || '.fact_redemptions_legacy') AND i.indisunique
                  AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
                       WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey))
                      = ARRAY['redem_id', 'user_id']) INTO filled;
            EXECUTE format('CREATE TABLE lumis_archive.written_purchases AS
                SELECT coalesce(f.id, t.top + row_number() OVER (ORDER BY f.id NULLS FIRST, p.date))
                    AS id, p.*, f.id IS NOT NULL AS merged
                FROM (
                    SELECT array_agg(r.redemption_id) AS redemptions, r.user_id,
                        o.legacy_id::text AS redem_id, -sum(s.quantity) AS quantity,
                        max(r.created_at) AS date
                    FROM rewards.user_redemptions r
                    JOIN rewards.redemption_offers o USING (offer_id)
                    JOIN %2$s s ON s.redemption_id = r.redemption_id AND s.kind = ''spend''
                    WHERE NOT EXISTS (SELECT FROM %2$s b
                        WHERE b.redemption_id = r.redemption_id AND b.kind = ''refund'')
                    GROUP BY r.user_id, o.legacy_id, CASE WHEN NOT $1 THEN r.redemption_id END
                ) p
                CROSS JOIN (SELECT coalesce(max(id), 0) AS top FROM %1$I.fact_redemptions_legacy) t
                LEFT JOIN %1$I.fact_redemptions_legacy f
                    ON $1 AND f.user_id = p.user_id AND f.redem_id = p.redem_id', home, ledger)
                USING filled;
            EXECUTE format('INSERT INTO %1$I.fact_redemptions_legacy
                    (id, user_id, redem_id, quantity, date, expiration_date, condition1)
                OVERRIDING SYSTEM VALUE
                SELECT id, user_id, redem_id, quantity, date, date, ''Canjeado''  -- entitles to nothing
                FROM lumis_archive.written_purchases WHERE NOT merged;
                UPDATE %1$I.fact_redemptions_legacy f SET quantity = coalesce(f.quantity, 0) + w.quantity
                FROM lumis_archive.written_purchases w WHERE w.merged AND w.id = f.id', home);
            item := pg_temp.lumis_sequence_of((home || '.fact_redemptions_legacy')::regclass, 'id');
            IF item IS NOT NULL THEN
                EXECUTE format('SELECT setval(%L, w.top) FROM (SELECT max(id) AS top
                    FROM lumis_archive.written_purchases) w WHERE w.top > (SELECT last_value FROM %s)',
                    item, item);
            END IF;

            -- A booked change of a balance goes as far as purchases since account for it: those
            -- count in the old formula already. Without any, it stays as an entry.
            CREATE TEMP TABLE accounted ON COMMIT DROP AS
                SELECT c.user_id, sum(c.points) AS points FROM lumis.purchase_changes c
                WHERE c.user_id IS NOT NULL GROUP BY c.user_id;
            CREATE TABLE lumis_archive.fact_accumulations AS
                SELECT e.* FROM public.fact_accumulations e
                WHERE e.kind IN ('spend', 'refund', 'opening')
                   OR (e.kind = 'adjustment' AND (e.accum_type = 'legacy_balance_settled'
                    OR (e.accum_type = 'legacy_balance'
                        AND e.user_id IN (SELECT a.user_id FROM accounted a))));
            EXECUTE format('INSERT INTO %s (user_id, accum_type, dtype, quantity, date)
                SELECT a.user_id, ''legacy_balance'', ''points'', a.points + coalesce(b.points, 0),
                    clock_timestamp()
                FROM accounted a LEFT JOIN (
                    SELECT e.user_id, sum(e.quantity) AS points FROM lumis_archive.fact_accumulations e
                    WHERE e.accum_type = ''legacy_balance'' GROUP BY e.user_id) b USING (user_id)
                WHERE a.points + coalesce(b.points, 0) <> 0', ledger);
            UPDATE lumis_archive.fact_accumulations SET accum_type = 'legacy_balance_settled'
            WHERE accum_type = 'legacy_balance';
            CREATE TABLE lumis_archive.entry_kinds AS
                SELECT e.id, e.user_id, e.quantity, e.kind FROM public.fact_accumulations e
                WHERE e.kind IN ('grant', 'adjustment')
                  AND e.id NOT IN (SELECT a.id FROM lumis_archive.fact_accumulations a);
            EXECUTE format('DELETE FROM %s e USING lumis_archive.fact_accumulations a
                WHERE e.id = a.id AND e.kind = a.kind', ledger);
        ELSE
            EXECUTE format('DELETE FROM %s WHERE kind = ''opening''', ledger);
        END IF;

        IF stored IS NOT NULL THEN
            -- balances that the take-over itself has written, and nobody moved since
            EXECUTE format('DROP TRIGGER trg_balance_booked ON %1$s;
                DROP TRIGGER trg_balance_never_truncated ON %1$s', stored);
            PERFORM pg_temp.lumis_rest_triggers(stored, true);
            EXECUTE format('DELETE FROM %1$s b USING lumis.balances_made m
                WHERE NOT m.existed AND (b.user_id, b.balance, b.latest_update)
                    = (m.user_id, m.became, $1)', stored) USING switched;
            EXECUTE format('UPDATE %1$s b SET balance = NULL FROM lumis.balances_made m
                WHERE m.existed AND (b.user_id, b.balance) = (m.user_id, m.became)
                  AND (b.latest_update < $1) IS NOT FALSE', stored) USING switched;
            PERFORM pg_temp.lumis_rest_triggers(stored, false);
        END IF;

        --------------------------------------------------------------------------------------
        -- Legacy: everything under its old name again
        --------------------------------------------------------------------------------------
        PERFORM pg_temp.lumis_rest_triggers(ledger, false);
        PERFORM pg_temp.lumis_rest_triggers((home || '.fact_redemptions_legacy')::regclass, false);
        EXECUTE format('DROP VIEW %1$I.dim_redemptions; DROP VIEW %1$I.fact_redemptions;
            ALTER TABLE %1$I.fact_redemptions_legacy RENAME TO fact_redemptions', home);
        DROP VIEW lumis.past_purchases;
        DROP TRIGGER trg_shape_offer ON rewards.redemption_offers;
        ALTER TABLE rewards.user_redemptions DROP CONSTRAINT user_redemptions_offer_id_fkey;
        -- what the old system had deleted, and was needed for its redemptions alone
        PERFORM pg_temp.lumis_rest_triggers('rewards.redemption_offers', true);
        DELETE FROM rewards.redemption_offers o
        WHERE o.legacy_id IN (SELECT r::integer FROM jsonb_array_elements_text(kept->'revived') r);
        PERFORM pg_temp.lumis_rest_triggers('rewards.redemption_offers', false);
        -- the history reads what goes now
        IF kept->'history' <> 'null' THEN
            EXECUTE format('CREATE OR REPLACE VIEW %I.vw_hist_accum_redem AS SELECT %s', home,
                (SELECT string_agg(format('NULL::%s AS %I', format_type(a.atttypid, a.atttypmod),
                    a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid
                    = to_regclass(home || '.vw_hist_accum_redem') AND a.attnum > 0));
        END IF;
        DROP VIEW lumis.redeemed;
        DROP VIEW lumis.fact_accumulations;
        DROP INDEX rewards.idx_offers_active_valid, rewards.idx_offers_category,
            rewards.idx_offers_cost, rewards.idx_offers_merchant;
        ALTER TABLE rewards.redemption_offers
            DROP CONSTRAINT offers_active_has_price, DROP CONSTRAINT offers_active_has_name,
            DROP CONSTRAINT offers_window_opens_before_it_ends,
            DROP CONSTRAINT offers_stock_not_negative, DROP CONSTRAINT offers_held_not_negative,
            DROP CONSTRAINT offers_limit_positive, DROP CONSTRAINT offers_ttl_positive,
            DROP CONSTRAINT offers_on_expiry_known,
            DROP COLUMN offer_id, DROP COLUMN description, DROP COLUMN stock_quantity,
            DROP COLUMN stock_held, DROP COLUMN merchant_id, DROP COLUMN is_active,
            DROP COLUMN offer_category, DROP COLUMN max_redemptions_per_user,
            DROP COLUMN code_ttl_minutes, DROP COLUMN on_expiry, DROP COLUMN image_url,
            DROP COLUMN terms, DROP COLUMN updated_at, RESET (fillfactor);
        IF NOT kept #> '{dim_redemptions,columns}' ? 'created_at' THEN
            ALTER TABLE rewards.redemption_offers DROP COLUMN created_at;
        END IF;
        IF kept #> '{dim_redemptions,options}' <> 'null' THEN
            EXECUTE format('ALTER TABLE rewards.redemption_offers SET (%s)', (SELECT
                string_agg(o, ', ') FROM jsonb_array_elements_text(kept #> '{dim_redemptions,options}') o));
        END IF;
        ALTER TABLE rewards.redemption_offers RENAME COLUMN legacy_id TO id;
        ALTER TABLE rewards.redemption_offers RENAME COLUMN lumis_cost TO points;
        ALTER TABLE rewards.redemption_offers RENAME TO dim_redemptions;
        IF home <> 'rewards' THEN
            EXECUTE format('ALTER TABLE rewards.dim_redemptions SET SCHEMA %I', home);
        END IF;
        IF kept #> '{dim_redemptions,sequence}' <> 'null' THEN
            EXECUTE format('ALTER SEQUENCE %s OWNED BY %I.dim_redemptions.id',
                kept #>> '{dim_redemptions,sequence}', home);
        END IF;
        FOR part IN SELECT * FROM jsonb_to_recordset(kept->'triggers')
            AS t(tgname text, tgenabled text, definition text, comment text)
        LOOP
            EXECUTE part.definition;
            EXECUTE format('ALTER TABLE %s %s TRIGGER %I', ledger, CASE part.tgenabled
                WHEN 'D' THEN 'DISABLE' WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA'
                ELSE 'ENABLE' END, part.tgname);
            IF part.comment IS NOT NULL THEN
                EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', part.tgname, ledger, part.comment);
            END IF;
        END LOOP;
        FOR item IN SELECT jsonb_array_elements_text(kept->'pathless') LOOP
            IF to_regprocedure(item) IS NOT NULL THEN
                EXECUTE format('ALTER FUNCTION %s RESET search_path', item);
            END IF;
        END LOOP;
        IF kept->'history' <> 'null' THEN
            EXECUTE format('CREATE OR REPLACE VIEW %I.vw_hist_accum_redem %s AS %s', home,
                (SELECT 'WITH (' || string_agg(o, ', ') || ')' FROM jsonb_array_elements_text(
                    nullif(kept #> '{history,options}', 'null')) o), kept #>> '{history,definition}');
        END IF;
        IF kept ? 'id_default' THEN
            EXECUTE format('ALTER TABLE %s ALTER COLUMN id %s', ledger, CASE kept->>'id_default'
                WHEN 'none' THEN 'DROP DEFAULT' ELSE 'SET DEFAULT ' || (kept->>'id_default') END);
        END IF;
        -- sequences that only the take-over has moved
        IF NOT has_rows AND top IS NOT DISTINCT FROM (kept->>'openings_top')::bigint
            AND kept->'ledger_ids' <> 'null'
        THEN
            PERFORM setval(format('%I.%I', kept #>> '{ledger_ids,schemaname}',
                kept #>> '{ledger_ids,sequencename}')::regclass,
                coalesce((kept #>> '{ledger_ids,last_value}')::bigint,
                    (kept #>> '{ledger_ids,start_value}')::bigint),
                kept #> '{ledger_ids,last_value}' <> 'null');
        END IF;
        EXECUTE format('SELECT max(id) FROM %I.dim_redemptions', home) INTO top;
        IF kept ? 'offer_ids' AND top IS NOT DISTINCT FROM (kept->>'offers_top')::bigint THEN
            PERFORM setval(pg_temp.lumis_sequence_of((home || '.dim_redemptions')::regclass, 'id'),
                (kept #>> '{offer_ids,last_value}')::bigint,
                (kept #>> '{offer_ids,is_called}')::boolean);
        END IF;
        IF home <> 'public' THEN
            DROP VIEW public.fact_accumulations;
        END IF;
    END IF;

    ------------------------------------------------------------------------------------------
    -- What we made. Never CASCADE: what somebody else built on it stops us here, by name.
    ------------------------------------------------------------------------------------------
    IF home IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s DROP COLUMN redemption_id, DROP COLUMN kind,
            DROP CONSTRAINT IF EXISTS ledger_quantity_finite', ledger);
        IF (kept->>'user_index')::boolean THEN
            EXECUTE format('DROP INDEX IF EXISTS %I.fact_accumulations_user', home);
        END IF;
        IF (kept->>'purchases_index')::boolean THEN
            EXECUTE format('DROP INDEX IF EXISTS %I.fact_redemptions_user', home);
        END IF;
    END IF;
    IF home IS NULL OR switched IS NOT NULL THEN
        DROP TRIGGER trg_update_merchant_stats ON rewards.user_redemptions;
        DROP TRIGGER trg_audit_redemption_changes ON rewards.user_redemptions;
        IF home IS NULL THEN
            DROP TRIGGER trg_ledger_never_truncated ON public.fact_accumulations;
            DROP TRIGGER trg_ledger_immutable ON public.fact_accumulations;
            DROP TRIGGER trg_ledger_balances ON public.fact_accumulations;
            DROP VIEW lumis.past_purchases;
        ELSIF stored IS NOT NULL THEN
            DROP VIEW lumis.balances;
            DROP TABLE lumis.balances_made;
            DROP FUNCTION lumis.book_balance_change();
        END IF;
        DROP FUNCTION rewards.expire_old_redemptions();
        DROP FUNCTION rewards.update_merchant_stats();
        DROP FUNCTION rewards.audit_redemption_change();
        DROP FUNCTION lumis.expire_redemptions(uuid[], jsonb);
        DROP FUNCTION lumis.close_redemptions(uuid[], text, timestamptz, jsonb[], text[], boolean[]);
        DROP FUNCTION lumis.merchant_may_act(uuid, text, text);
        DROP FUNCTION lumis.keep_ledger_immutable();
        DROP FUNCTION lumis.apply_ledger_entries();
        DROP FUNCTION lumis.next_ledger_id();
        DROP FUNCTION lumis.pass_ledger_ids(bigint);
        DROP FUNCTION lumis.offer_refusal(boolean, timestamptz, timestamptz, integer, timestamptz);
    END IF;
    FOREACH item IN ARRAY ours LOOP
        EXECUTE format('DROP TABLE %s', item);
    END LOOP;
    IF switched IS NOT NULL THEN
        DROP TABLE lumis.purchase_changes;
        DROP TABLE lumis.take_over_findings;
        DROP FUNCTION lumis.note_purchase();
        DROP FUNCTION lumis.shape_offer();
        DROP FUNCTION lumis.offer_fault(text, bigint, timestamptz, timestamptz);
        IF kept ? 'id_default' THEN
            DROP SEQUENCE lumis.ledger_ids;
        END IF;
    END IF;
    DROP TABLE IF EXISTS lumis.take_over;
    IF home IS NULL OR switched IS NOT NULL THEN
        DROP TABLE lumis.migrations;
    END IF;
    IF to_regnamespace('lumis_worker') IS NOT NULL THEN
        DROP SCHEMA lumis_worker CASCADE;          -- the job queue's own; it holds no data of ours
    END IF;
    IF kept ? 'usage' AND NOT 'rewards' = ANY (created) THEN
        EXECUTE format('REVOKE USAGE ON SCHEMA rewards FROM %s', kept->>'usage');
    END IF;
    FOREACH item IN ARRAY created LOOP
        IF item = 'pg_stat_statements' THEN
            DROP EXTENSION IF EXISTS pg_stat_statements;
        ELSE
            EXECUTE format('DROP SCHEMA %I', item);
        END IF;
    END LOOP;
END
$migration$;

DO $timeout$
BEGIN
    RESET statement_timeout;
    RESET client_connection_check_interval;
END
$timeout$;
