-- The redemption system: catalogue, redemptions, merchants, audit log (schema rewards), everything
-- else of ours (schema lumis) and the points ledger. On an empty database all of it is made; a
-- legacy points system is taken over, and its old names go on working (docs/take-over.md).
--
--   psql "$DATABASE_URL" -f migrations/2025_10_17_redemption_system.sql
--   npx lumis migrate up                                  (the same result, the same record)
--
-- What changes anything does so in one statement each, hence wholly or not at all, and a second
-- run goes on where the first was interrupted, or changes nothing. On an empty database there is
-- one such statement ($migration$); a take-over has three more around it, so that the old system
-- is kept waiting for a moment only:
--   1. look           layout, columns, names, rights: refused here, nothing has changed
--   2. $prepare$      two columns on the ledger; then indexes, beside the running system
--   3. $migration$    the switch, under exclusive locks: no large table is rewritten, and none is
--                     read whole where balances are stored
--   4. $openings$     ledger entries that make the ledger sum to the balances; no locks
-- Lines that begin with a backslash are for psql; our runner understands \gexec alone.
\set ON_ERROR_STOP on

-- Why an offer of a legacy catalogue arrives inactive; NULL when it may be active.
CREATE OR REPLACE FUNCTION pg_temp.lumis_offer_fault(
    name_friendly text, points bigint, valid_from timestamptz, valid_to timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $fault$
    SELECT CASE
        WHEN coalesce(btrim(name_friendly), '') = '' THEN 'no name'
        WHEN points IS NULL THEN 'no price'
        WHEN points <= 0 THEN 'price is not positive'
        WHEN valid_from NOT BETWEEN '0001-01-02Z' AND '9999-12-31Z'
          OR valid_to NOT BETWEEN '0001-01-02Z' AND '9999-12-31Z' THEN 'date out of range'
        WHEN valid_from >= valid_to THEN 'ends before it begins'
    END
$fault$;

-- What this database holds: empty, a legacy system in public or in rewards, unfinished (taken over
-- but for the openings) or applied. Raises when it is none of these.
CREATE OR REPLACE FUNCTION pg_temp.lumis_layout() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $look$
DECLARE
    legacy    constant text[] := ARRAY['dim_redemptions', 'fact_redemptions', 'fact_accumulations',
        'fact_balance_points'];
    ours      constant text[] := ARRAY['merchants', 'redemption_offers', 'user_redemptions',
        'redemption_audit_log'];
    homes     text[];
    home      text;
    prepared  boolean := false;
    obstacle  text;
    item      record;
    filled    boolean;
BEGIN
    IF current_setting('server_version_num')::int < 150000 THEN
        RAISE EXCEPTION 'Lumis needs PostgreSQL 15 or newer; this server is %',
            current_setting('server_version') USING ERRCODE = 'LM010';
    END IF;
    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'this database has the encoding %; names and reasons need UTF8',
            getdatabaseencoding() USING ERRCODE = 'LM010',
            HINT = 'Nothing was changed. CREATE DATABASE ... TEMPLATE template0 ENCODING ''UTF8'';';
    END IF;

    SELECT string_agg(format('GRANT USAGE ON SCHEMA %I TO %I;', n.nspname, current_user), ' ')
        INTO obstacle FROM pg_namespace n
    WHERE n.nspname IN ('public', 'rewards', 'lumis', 'lumis_archive')
      AND NOT has_schema_privilege(n.oid, 'USAGE');
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'role % may not look into this database', current_user
            USING ERRCODE = 'insufficient_privilege', HINT = 'Nothing was changed. As the owner of '
                'the database: ' || obstacle || ' Then npx lumis migrate plan tells what else.';
    END IF;

    -- asked of the catalogue's rows: to_regclass() may still answer from before a wait
    IF EXISTS (SELECT FROM pg_tables t WHERE (t.schemaname, t.tablename) = ('lumis', 'migrations'))
    THEN
        IF EXISTS (SELECT FROM lumis.migrations m WHERE m.name = '2025_10_17_redemption_system')
        THEN
            RETURN 'applied';
        END IF;
    END IF;
    IF EXISTS (SELECT FROM pg_tables t WHERE (t.schemaname, t.tablename) = ('lumis', 'take_over'))
    THEN
        IF EXISTS (SELECT FROM lumis.take_over t WHERE t.switched_at IS NOT NULL) THEN
            RETURN 'unfinished';
        END IF;
        prepared := true;
    END IF;

    SELECT array_agg(DISTINCT n.nspname::text) INTO homes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'rewards') AND c.relname = ANY (legacy) AND c.relkind <> 'i';

    -- an attempt of somebody else, or something that has nothing to do with points
    SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY 1) INTO obstacle
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind <> 'c' AND CASE n.nspname
        WHEN 'lumis' THEN NOT prepared AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        WHEN 'rewards' THEN c.relname IN ('fact_redemptions_legacy', 'idx_redemptions_landing')
            OR c.relname = ANY (ours) OR c.relname ~ '^idx_(offers|redemptions|merchants|audit)_'
            OR (homes IS NULL OR homes = '{public}') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        WHEN 'public' THEN c.relname IN ('fact_redemptions_legacy', 'redemption_offers',
            'user_redemptions', 'redemption_audit_log') END;
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'the names that the redemption system needs are in use: %', obstacle
            USING ERRCODE = 'LM010',
                DETAIL = 'Found: what somebody else made, or an earlier attempt left half done. '
                    'Expected: no such tables, and nothing else in schemas lumis and rewards.',
                HINT = 'Nothing was changed. Take that attempt back with the tool that made it, or '
                    'rename what is worth keeping; or use another database.';
    END IF;
    SELECT string_agg(p.oid::regprocedure::text, ', ' ORDER BY 1) INTO obstacle FROM pg_proc p
    WHERE p.pronamespace IN (to_regnamespace('rewards'), to_regnamespace('lumis'))
      AND (p.proname IN ('audit_redemption_change', 'expire_old_redemptions',
          'update_merchant_stats') OR p.pronamespace = to_regnamespace('lumis'));
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'the names that the redemption system needs are in use: %', obstacle
            USING ERRCODE = 'LM010', HINT = 'Nothing was changed. Drop or rename these functions.';
    END IF;

    IF cardinality(homes) > 1 THEN
        SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY 1) INTO obstacle
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('public', 'rewards') AND c.relname = ANY (legacy) AND c.relkind <> 'i';
        RAISE EXCEPTION 'the legacy points system is in two schemas at once: %', obstacle
            USING ERRCODE = 'LM010',
                DETAIL = 'Expected: all its tables in schema public, or all of them in rewards.',
                HINT = 'Nothing was changed. Find out which are in use; move or rename the others.';
    END IF;
    home := homes[1];

    IF home IS NOT NULL THEN
        SELECT string_agg(format('%I.%I', home, l.name), ', ') INTO obstacle FROM unnest(legacy) l(name)
        WHERE l.name <> 'fact_balance_points' AND NOT EXISTS (SELECT FROM pg_class c
            WHERE c.relnamespace = to_regnamespace(home) AND c.relname = l.name);
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION 'the legacy points system in schema % is not complete: no %', home, obstacle
                USING ERRCODE = 'LM010',
                    DETAIL = 'Expected: dim_redemptions, fact_redemptions, fact_accumulations and, '
                        'where balances are stored, fact_balance_points, all in one schema.',
                    HINT = 'Nothing was changed. Restore what is missing, or rename what is left so '
                        'that it is not taken for a points system.';
        END IF;

        SELECT string_agg(w.found, '; ' ORDER BY w.tab, w.col) INTO obstacle FROM (
            SELECT e.tab, e.col, CASE
                WHEN a.attname IS NULL THEN format('%I.%I has no column %I (expected %s)', home,
                    e.tab, e.col, array_to_string(e.types, ' or '))
                WHEN NOT format_type(a.atttypid, NULL) = ANY (e.types) THEN format(
                    '%I.%I.%I is %s (expected %s)', home, e.tab, e.col,
                    format_type(a.atttypid, a.atttypmod), array_to_string(e.types, ' or '))
                END AS found
            FROM (VALUES
                ('dim_redemptions', 'id', ARRAY['integer', 'smallint'], true),
                ('dim_redemptions', 'points', ARRAY['integer', 'smallint'], true),
                ('dim_redemptions', 'name', ARRAY['text', 'character varying'], false),
                ('dim_redemptions', 'name_friendly', ARRAY['character varying', 'text'], true),
                ('dim_redemptions', 'description_friendly', ARRAY['character varying', 'text'], false),
                ('dim_redemptions', 'img', ARRAY['character varying', 'text'], false),
                ('dim_redemptions', 'valid_from', ARRAY['timestamp with time zone'], true),
                ('dim_redemptions', 'valid_to', ARRAY['timestamp with time zone'], true),
                ('dim_redemptions', 'created_at', ARRAY['timestamp with time zone'], false),
                ('fact_redemptions', 'id', ARRAY['integer', 'bigint'], true),
                ('fact_redemptions', 'user_id', ARRAY['integer'], true),
                ('fact_redemptions', 'redem_id', ARRAY['text', 'character varying'], true),
                ('fact_redemptions', 'quantity', ARRAY['numeric', 'integer', 'bigint'], true),
                ('fact_redemptions', 'date', ARRAY['timestamp with time zone'], true),
                ('fact_redemptions', 'expiration_date', ARRAY['timestamp with time zone'], true),
                ('fact_redemptions', 'condition1', ARRAY['character varying', 'text'], true),
                ('fact_accumulations', 'id', ARRAY['integer', 'bigint'], true),
                ('fact_accumulations', 'user_id', ARRAY['integer'], true),
                ('fact_accumulations', 'accum_type', ARRAY['text', 'character varying'], true),
                ('fact_accumulations', 'accum_key', ARRAY['text', 'character varying'], true),
                ('fact_accumulations', 'dtype', ARRAY['text', 'character varying'], true),
                ('fact_accumulations', 'quantity', ARRAY['numeric', 'integer', 'bigint'], true),
                ('fact_accumulations', 'date', ARRAY['timestamp with time zone'], true),
                ('fact_balance_points', 'user_id', ARRAY['integer'], true),
                ('fact_balance_points', 'balance', ARRAY['numeric', 'integer', 'bigint'], true),
                ('fact_balance_points', 'latest_update', ARRAY['timestamp with time zone'], true)
            ) AS e(tab, col, types, required)
            JOIN pg_class c ON c.relnamespace = to_regnamespace(home) AND c.relname = e.tab
            LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = e.col
                AND a.attnum > 0 AND NOT a.attisdropped
            WHERE e.required OR a.attname IS NOT NULL
            UNION ALL   -- what we insert would be refused for want of them
            SELECT c.relname, a.attname, format('%I.%I.%I is NOT NULL without a default (expected '
                'no such column)', home, c.relname, a.attname)
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                AND NOT a.attisdropped AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
            WHERE c.relnamespace = to_regnamespace(home) AND c.relname = ANY (legacy)
              AND NOT a.attname = ANY (CASE c.relname
                WHEN 'dim_redemptions' THEN ARRAY['id', 'name', 'name_friendly', 'points',
                    'created_at']
                WHEN 'fact_redemptions' THEN ARRAY['id', 'user_id', 'redem_id', 'quantity', 'date',
                    'expiration_date', 'condition1']
                WHEN 'fact_accumulations' THEN ARRAY['id', 'user_id', 'accum_type', 'dtype',
                    'quantity', 'date']
                ELSE ARRAY['user_id', 'balance', 'latest_update'] END)
            UNION ALL   -- ours, and not made by us
            SELECT c.relname, a.attname, format('%I.%I already has a column %I (expected none)',
                home, c.relname, a.attname)
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                AND NOT a.attisdropped
            WHERE c.relnamespace = to_regnamespace(home)
              AND (c.relname = 'fact_accumulations' AND NOT prepared
                    AND a.attname IN ('redemption_id', 'kind')
                OR c.relname = 'dim_redemptions' AND a.attname IN ('legacy_id', 'lumis_cost',
                    'offer_id', 'description', 'stock_quantity', 'stock_held', 'merchant_id',
                    'is_active', 'offer_category', 'max_redemptions_per_user', 'code_ttl_minutes',
                    'on_expiry', 'image_url', 'terms', 'updated_at'))
            UNION ALL
            SELECT c.relname, '', format('%I.%I is not an ordinary table by itself (expected one '
                'without partitions or inheritance)', home, c.relname)
            FROM pg_class c
            WHERE c.relnamespace = to_regnamespace(home) AND c.relname = ANY (legacy)
              AND (c.relkind <> 'r' OR EXISTS (SELECT FROM pg_inherits i
                WHERE c.oid IN (i.inhrelid, i.inhparent)))
            UNION ALL
            SELECT c.relname, '', format('%I.%I is not a view (expected one)', home, c.relname)
            FROM pg_class c WHERE c.relnamespace = to_regnamespace(home)
              AND c.relname = 'vw_hist_accum_redem' AND c.relkind <> 'v'
            UNION ALL   -- it will read a view of ours, of which nobody has rights on single columns
            SELECT c.relname, '', format('%I.%I asks with the rights of its reader, and there are '
                'rights on single columns of it or of the ledger (expected rights on all)', home,
                c.relname)
            FROM pg_class c WHERE c.relnamespace = to_regnamespace(home)
              AND c.relname = 'vw_hist_accum_redem'
              AND array_to_string(c.reloptions, ' ') ~ 'security_invoker=(true|on|1|yes)'
              AND EXISTS (SELECT FROM pg_attribute a WHERE a.attacl IS NOT NULL
                AND a.attrelid IN (c.oid, to_regclass(home || '.fact_accumulations')))
            UNION ALL
            SELECT c.relname, k.col, format('%I.%I has no unique index on %I alone (expected one)',
                home, c.relname, k.col)
            FROM (VALUES ('dim_redemptions', 'id'), ('fact_balance_points', 'user_id')) k(tab, col)
            JOIN pg_class c ON c.relnamespace = to_regnamespace(home) AND c.relname = k.tab
            WHERE NOT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a
                    ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
                  AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = k.col)
            UNION ALL
            SELECT c.relname, t.tgname, format('trigger %I on %I.%I uses %s, and the table gets '
                'other columns (expected no such trigger)', t.tgname, home, c.relname,
                (regexp_match(p.prosrc, w.words, 'i'))[1])
            FROM (VALUES ('dim_redemptions', '\m((?:new|old)\.(?:id|points))\M'),
                ('dim_redemptions', '\m(?:values|select)\M[^;]*(?<!jsonb?\()(\m(?:new|old)\)?\.\*)'),
                ('fact_accumulations', '\m(?:values|select)\M[^;]*(?<!jsonb?\()(\m(?:new|old)\)?\.\*)')
                ) AS w(tab, words)
            JOIN pg_class c ON c.relnamespace = to_regnamespace(home) AND c.relname = w.tab
            JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
            JOIN pg_proc p ON p.oid = t.tgfoid AND p.prosrc ~* w.words
            UNION ALL   -- openings are in the ledger, and would be counted beside the purchases
            SELECT c.relname, t.tgname, format('trigger %I on %I.%I computes balances from the '
                'ledger (expected none but on the ledger)', t.tgname, home, c.relname)
            FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid AND NOT t.tgisinternal
            JOIN pg_proc p ON p.oid = t.tgfoid
            WHERE c.relnamespace = to_regnamespace(home) AND c.relname = ANY (legacy)
              AND c.relname <> 'fact_accumulations' AND p.prosrc ~* '\mfact_balance_points\M'
              AND p.prosrc ~* '\mfact_accumulations\M'
            UNION ALL
            SELECT c.relname, p.proname, format('function %s takes or gives whole rows of %I.%I, and '
                'the table gets other columns (expected no such function)', p.oid::regprocedure,
                home, c.relname)
            FROM pg_class c JOIN pg_proc p ON c.reltype IN (p.prorettype)
                OR c.reltype = ANY (p.proargtypes)
            WHERE c.relnamespace = to_regnamespace(home) AND c.relname = 'dim_redemptions'
            UNION ALL
            SELECT c.relname, r.rulename, format('rule %I on %I.%I (expected none)', r.rulename,
                home, c.relname)
            FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid
            WHERE c.relnamespace = to_regnamespace(home) AND c.relname = ANY (legacy)
              AND c.relkind = 'r'
            UNION ALL   -- an entry of ours may have the reason of another one, and its member
            SELECT c.relname, x.relname, format('unique index %I on %I.%I (expected none but on id)',
                x.relname, home, c.relname)
            FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique
            JOIN pg_class x ON x.oid = i.indexrelid
            WHERE c.relnamespace = to_regnamespace(home) AND c.relname = 'fact_accumulations'
              AND x.relname <> 'fact_accumulations_redemption_kind'
              AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                AND a.attnum = ANY (i.indkey) AND NOT a.attname IN ('user_id', 'accum_type',
                    'accum_key', 'dtype', 'quantity'))
            UNION ALL   -- exact to the same place, or balance and ledger would part
            SELECT 'fact_accumulations', 'quantity', format('%s have %s decimal places (expected as '
                'many everywhere)', string_agg(s.name, ', ' ORDER BY s.name),
                string_agg(coalesce(s.scale::text, 'any number of'), ', ' ORDER BY s.name))
            FROM (SELECT format('%I.%I.%I', home, c.relname, a.attname) AS name, c.relname,
                    CASE WHEN a.atttypid <> 'numeric'::regtype THEN 0
                         WHEN a.atttypmod > 0 THEN (a.atttypmod - 4) & 65535 END AS scale
                  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                  WHERE c.relnamespace = to_regnamespace(home) AND NOT a.attisdropped
                    AND (c.relname, a.attname) IN (('fact_accumulations', 'quantity'),
                      ('fact_redemptions', 'quantity'), ('fact_balance_points', 'balance'))) s
            WHERE s.relname <> 'fact_redemptions'
               OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid
                    = to_regclass(home || '.fact_accumulations') AND a.attname = 'quantity'
                    AND (a.atttypmod > 0 OR a.atttypid <> 'numeric'::regtype))
            HAVING count(DISTINCT coalesce(s.scale, -1)) > 1
        ) w WHERE w.found IS NOT NULL;
        -- what we are going to write, held against the rules that the tables have
        FOR item IN SELECT t.oid::regclass AS tab, t.relname, coalesce('constraint '
                || quote_ident(c.conname), 'a type') AS what, s.sample,
                coalesce(pg_get_expr(c.conbin, c.conrelid), 'true') AS rule
            FROM (VALUES
                ('fact_accumulations', '{"accum_type": "redemption", "quantity": -1000000}'),
                ('fact_accumulations', '{"accum_type": "redemption", "quantity": 1000000}'),
                ('fact_accumulations', '{"accum_type": "adjustment", "quantity": 1000000, '
                    '"accum_key": "a reason that support gives"}'),
                ('fact_accumulations', '{"accum_type": "legacy_balance_settled", "quantity": -1}'),
                ('fact_accumulations', '{"accum_type": "legacy_balance", "quantity": 1}'),
                ('fact_accumulations', '{"accum_type": "opening", "quantity": -1000000}'),
                ('fact_accumulations', '{"accum_type": "opening", "quantity": 1000000}'),
                ('fact_redemptions', '{"redem_id": "1", "quantity": 1000000, '
                    '"expiration_date": "2026-01-01", "condition1": "Canjeado"}')
            ) AS s(tab, sample)
            JOIN pg_class t ON t.relnamespace = to_regnamespace(home) AND t.relname = s.tab
            LEFT JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'c'
                AND NOT (prepared AND c.conname IN ('ledger_quantity_finite', 'ledger_kind_known',
                    'ledger_redemption_has_kind', 'ledger_spend_is_negative',
                    'ledger_refund_is_positive'))
        LOOP
            BEGIN
                EXECUTE format('SELECT %s FROM jsonb_populate_record(NULL::%s, %L) AS %I', item.rule,
                    item.tab, '{"id": 1, "user_id": 1, "dtype": "points", "date": "2026-01-01"}'::jsonb
                    || item.sample::jsonb, item.relname) INTO filled;
            EXCEPTION WHEN data_exception THEN
                filled := false;
            END;
            IF filled IS FALSE THEN
                obstacle := concat_ws('; ', obstacle, format('%s of %s forbids %s (expected that it '
                    'may be written)', item.what, item.tab, item.sample));
            END IF;
        END LOOP;
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION 'the legacy points system in schema % is not as expected: %', home, obstacle
                USING ERRCODE = 'LM010',
                    DETAIL = 'A column, key or trigger other than the known ones could lose points '
                        'or prices on the way.',
                    HINT = 'Nothing was changed. ALTER TABLE ... until it is as expected (for a date '
                        'without zone: ALTER COLUMN ... TYPE timestamptz USING ... AT TIME ZONE ...), '
                        'or take an earlier attempt back first; then look again: npx lumis migrate plan';
        END IF;

    END IF;
    IF to_regnamespace('lumis_archive') IS NOT NULL THEN
        filled := to_regclass('lumis_archive.take_over') IS NOT NULL;
        IF filled <> (home IS NOT NULL) THEN
            RAISE EXCEPTION 'schema lumis_archive holds data of another database layout'
                USING ERRCODE = 'LM010', DETAIL = format('Found: the archive of %s, but here is %s.',
                    CASE WHEN filled THEN 'a legacy system' ELSE 'a database that was empty' END,
                    coalesce('a legacy system in schema ' || home, 'none')),
                    HINT = 'Nothing was changed. ALTER SCHEMA lumis_archive RENAME TO ...;';
        END IF;
    END IF;
    RETURN coalesce(home, 'empty');
END
$look$;

-- Raises when rights are missing, or points are not numbers.
CREATE OR REPLACE FUNCTION pg_temp.lumis_hindrance(layout text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $hindrance$
DECLARE
    missing   text[] := '{}';
    obstacle  text;
    item      record;
BEGIN
    IF to_regnamespace('public') IS NULL THEN
        RAISE EXCEPTION 'schema public does not exist; the points ledger lives there'
            USING ERRCODE = 'LM010', HINT = 'CREATE SCHEMA public;';
    END IF;
    FOR item IN SELECT unnest(ARRAY['rewards', 'lumis', 'public']) AS name LOOP
        IF to_regnamespace(item.name) IS NULL THEN
            IF NOT has_database_privilege(current_database(), 'CREATE') THEN
                missing := missing || format('GRANT CREATE ON DATABASE %I TO %I;',
                    current_database(), current_user);
            END IF;
        ELSIF NOT (has_schema_privilege(item.name, 'CREATE') AND has_schema_privilege(item.name, 'USAGE'))
        THEN
            missing := missing || format('GRANT ALL ON SCHEMA %I TO %I;', item.name, current_user);
        END IF;
    END LOOP;
    missing := missing || ARRAY(SELECT format('GRANT %I TO %I;', r.rolname, current_user)
        FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relnamespace = to_regnamespace(layout) AND layout IN ('public', 'rewards')
          AND c.relname IN ('dim_redemptions', 'fact_redemptions', 'fact_accumulations',
              'fact_balance_points', 'vw_hist_accum_redem')
          AND NOT pg_has_role(c.relowner, 'USAGE'));
    missing := missing || ARRAY(SELECT DISTINCT format('GRANT %s TO %I;', p.proowner::regrole,
            current_user)
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = to_regnamespace(layout) AND layout IN ('public', 'rewards')
          AND NOT t.tgisinternal
          AND c.relname IN ('dim_redemptions', 'fact_accumulations', 'fact_balance_points')
          AND NOT coalesce(array_to_string(p.proconfig, ' '), '') ~ 'search_path='
          AND NOT pg_has_role(p.proowner, 'USAGE'));
    IF missing <> '{}' THEN
        RAISE EXCEPTION 'role % may not do what the redemption system needs', current_user
            USING ERRCODE = 'insufficient_privilege',
                DETAIL = 'Expected: CREATE on the database and its schemas, and for a legacy system '
                    'the rights of the owner of its tables.',
                HINT = 'Nothing was changed. As the owner of the database: '
                       || (SELECT string_agg(DISTINCT m, ' ') FROM unnest(missing) m);
    END IF;
    FOR item IN SELECT c.oid::regclass AS tab, a.attname AS col FROM pg_class c
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.atttypid = 'numeric'::regtype
        WHERE c.relnamespace = to_regnamespace(layout) AND layout IN ('public', 'rewards')
          AND (c.relname, a.attname) IN (('fact_accumulations', 'quantity'),
              ('fact_redemptions', 'quantity'), ('fact_balance_points', 'balance'))
    LOOP
        EXECUTE format($$SELECT string_agg(DISTINCT coalesce(e.user_id::text, 'none'), ', ') FROM (
            SELECT user_id FROM %s WHERE %I IN ('NaN', 'Infinity', '-Infinity') LIMIT 10) e$$,
            item.tab, item.col) INTO obstacle;
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION '%.% is not a number for these members: %', item.tab, item.col, obstacle
                USING ERRCODE = 'LM010', DETAIL = 'Found: NaN or infinity. Expected: finite points.',
                    HINT = format('Nothing was changed. Look: SELECT * FROM %s WHERE %I IN (''NaN'', '
                        '''Infinity'', ''-Infinity''); and correct them. A stored balance that is '
                        'NULL becomes the ledger less the purchases.', item.tab, item.col);
        END IF;
    END LOOP;
    -- every member with a balance gets rows in the ledger, and the other way round
    FOR item IN SELECT c.conname, c.conrelid::regclass AS tab, c.confrelid::regclass AS users,
            a.attname AS key, o.name AS other
        FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
        JOIN (VALUES ('fact_accumulations', 'fact_balance_points'), ('fact_balance_points',
            'fact_accumulations'), ('fact_balance_points', 'fact_redemptions'),
            ('fact_accumulations', 'fact_redemptions')) o(tab, name)
            ON o.tab = t.relname
        JOIN pg_attribute u ON u.attrelid = c.conrelid AND u.attname = 'user_id'
        JOIN pg_attribute a ON (a.attrelid, a.attnum) = (c.confrelid, c.confkey[1])
        WHERE c.contype = 'f' AND c.conkey = ARRAY[u.attnum] AND layout IN ('public', 'rewards')
          AND t.relnamespace = to_regnamespace(layout)
          AND to_regclass(layout || '.' || o.name) IS NOT NULL
    LOOP
        EXECUTE format('SELECT string_agg(m.user_id::text, '', '') FROM (SELECT DISTINCT m.user_id
            FROM %I.%I m WHERE m.user_id IS NOT NULL AND NOT EXISTS (
                SELECT FROM %s u WHERE u.%I = m.user_id) LIMIT 10) m', layout, item.other,
            item.users, item.key) INTO obstacle;
        IF obstacle IS NOT NULL THEN
            RAISE EXCEPTION '% does not know these members of %.%: %', item.users, layout,
                item.other, obstacle USING ERRCODE = 'LM010',
                DETAIL = format('Expected: all of them there, since foreign key %I lets nobody else '
                    'into %s, and the take-over writes rows of all members.', item.conname, item.tab),
                HINT = format('Nothing was changed. Add them to %s, or ALTER TABLE %s DROP CONSTRAINT '
                    '%I;', item.users, item.tab, item.conname);
        END IF;
    END LOOP;
END
$hindrance$;

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

-- Gives a view under an old name the owner and the grants of its table.
CREATE OR REPLACE FUNCTION pg_temp.lumis_copy_grants(tab regclass, shown regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $grants$
DECLARE
    owner  regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = tab);
    item   record;
BEGIN
    FOR item IN
        SELECT acl.grantee, acl.privilege_type AS privilege, acl.is_grantable, '' AS col
        FROM pg_class c, aclexplode(c.relacl) acl WHERE c.oid = tab
        UNION ALL
        SELECT acl.grantee, acl.privilege_type, acl.is_grantable, format('(%I)', CASE a.attname
            WHEN 'legacy_id' THEN 'id' WHEN 'lumis_cost' THEN 'points' ELSE a.attname END)
        FROM pg_attribute a, aclexplode(a.attacl) acl WHERE a.attrelid = tab AND NOT a.attisdropped
    LOOP
        CONTINUE WHEN item.grantee = owner OR item.privilege NOT IN
            ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'REFERENCES', 'TRIGGER');
        EXECUTE format('GRANT %s %s ON %s TO %s %s', item.privilege, item.col, shown,
            CASE item.grantee WHEN 0 THEN 'PUBLIC' ELSE item.grantee::regrole::text END,
            CASE WHEN item.is_grantable THEN 'WITH GRANT OPTION' END);
    END LOOP;
    IF owner <> current_user::regrole THEN
        EXECUTE format('GRANT ALL ON %s TO %s', shown, owner);
        IF current_setting('is_superuser')::boolean OR has_schema_privilege(owner,
            (SELECT c.relnamespace FROM pg_class c WHERE c.oid = shown), 'CREATE') THEN
            EXECUTE format('ALTER VIEW %s OWNER TO %s', shown, owner);
        END IF;
    END IF;
END
$grants$;

-- Redefines the old history view: what it reads from the ledger, without our own entries, and what
-- was redeemed with us. Its name, columns, owner and grants stay.
CREATE OR REPLACE FUNCTION pg_temp.lumis_widen_history(home text, ledger regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $history$
DECLARE
    history   regclass := home || '.vw_hist_accum_redem';
    owner     regrole := (SELECT c.relowner FROM pg_class c WHERE c.oid = history);
    body      text := rtrim(pg_get_viewdef(history), E'; \n');
    columns   text[];
    taken     text;
    options   text[] := (SELECT c.reloptions FROM pg_class c WHERE c.oid = history);
    invokes   boolean := array_to_string(options, ' ') ~ 'security_invoker=(true|on|1|yes)';
    reader    record;
BEGIN
    SELECT array_agg(format('%I::%s', a.attname, format_type(a.atttypid, a.atttypmod))
        ORDER BY a.attnum) INTO columns FROM pg_attribute a WHERE a.attrelid = history AND a.attnum > 0;
    -- the view may show what was spent as a negative quantity
    taken := CASE WHEN body ~ '-\s*\(?(\w+\.)?quantity' THEN '-r.quantity' ELSE 'r.quantity' END;
    body := regexp_replace(body, '\m' || replace(ledger::text, '.', '\.') || '\M',
        'lumis.fact_accumulations', 'g');
    IF array_to_string(columns, ' ') ~ ('^source_type::\S.* user_id::\S.* name_friendly::\S.* '
        'description_friendly::\S.* quantity::\S.* date::\S.* img::\S[^:]*$')
        -- who sees only some rows of the ledger would see all redemptions
        AND NOT (invokes AND (SELECT c.relrowsecurity FROM pg_class c WHERE c.oid = ledger)) THEN
        body := format('SELECT %s FROM (SELECT * FROM (%s) old UNION ALL SELECT %L::text, r.user_id, '
            'r.name_friendly, r.description_friendly, %s, r.date, r.img FROM lumis.redeemed r) h',
            array_to_string(columns, ', '), body, 'Redención', taken);
    ELSE
        RAISE NOTICE '% has columns or readers of its own kind: it does not show new redemptions',
            history;
    END IF;
    EXECUTE format('CREATE OR REPLACE VIEW %s %s AS %s', history,
        'WITH (' || array_to_string(options, ', ') || ')', body);
    IF invokes THEN
        ALTER VIEW lumis.fact_accumulations SET (security_invoker);
    END IF;
    FOR reader IN SELECT owner AS role UNION
        SELECT acl.grantee::regrole FROM pg_class c, aclexplode(c.relacl) acl
        WHERE invokes AND c.oid = history AND acl.privilege_type = 'SELECT'
    LOOP
        EXECUTE format('GRANT SELECT ON lumis.fact_accumulations, lumis.redeemed TO %s',
            CASE reader.role::oid WHEN 0 THEN 'PUBLIC' ELSE reader.role::text END);
    END LOOP;
END
$history$;

-- Two operators at once: the second waits here, then finds the work done. Held until the session
-- ends; a client that is gone is noticed within a second, and what it had begun is undone.
DO $lock$
BEGIN
    SET LOCAL lock_timeout = '5s';
    PERFORM pg_advisory_lock(hashtext('lumis.migrations'));
    PERFORM set_config('statement_timeout', '0', false);
    PERFORM set_config('lock_timeout', '60s', false);       -- an index waits for old transactions
    PERFORM set_config('client_connection_check_interval', '1s', false);
EXCEPTION WHEN invalid_parameter_value THEN
    NULL;  -- not every platform can look
END
$lock$;

-- Legacy only, committed by itself: columns and guards that the ledger needs. The old system does
-- not see them. What is remembered here and later tells `down` how everything was.
DO $prepare$
DECLARE
    home      text := pg_temp.lumis_layout();
    made      text[] := '{}';
BEGIN
    IF home NOT IN ('public', 'rewards') OR to_regclass('lumis.take_over') IS NOT NULL THEN
        RETURN;
    END IF;
    SET LOCAL lock_timeout = '500ms';
    SET LOCAL search_path = pg_catalog, pg_temp;
    PERFORM pg_temp.lumis_hindrance(home);
    RAISE INFO 'found a legacy points system in schema %; preparing its ledger', home;

    IF to_regnamespace('lumis') IS NULL THEN
        made := made || 'lumis'::text;
        CREATE SCHEMA lumis;
    END IF;
    CREATE TABLE lumis.take_over (
        home         text PRIMARY KEY,             -- schema of the legacy system
        begun_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
        switched_at  timestamptz,                  -- NULL while only prepared
        remembered   jsonb NOT NULL                -- how it was, for down
    );
    INSERT INTO lumis.take_over (home, remembered)
    SELECT home, jsonb_build_object('made', made, 'user_index', NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = to_regclass(home || '.fact_accumulations')
          AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'user_id'),
        'purchases_index', NOT EXISTS (
        SELECT FROM pg_index i JOIN pg_attribute a
            ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
        WHERE i.indrelid = to_regclass(home || '.fact_redemptions')
          AND i.indisvalid AND i.indpred IS NULL AND a.attname = 'user_id'));
    EXECUTE format('ALTER TABLE %I.fact_accumulations
        ADD COLUMN redemption_id uuid,
        ADD COLUMN kind text,
        ADD CONSTRAINT ledger_quantity_finite
            CHECK (quantity::numeric NOT IN (''NaN'', ''Infinity'', ''-Infinity'')) NOT VALID,
        ADD CONSTRAINT ledger_kind_known
            CHECK (kind IN (''spend'', ''refund'', ''grant'', ''adjustment'', ''opening'')) NOT VALID,
        ADD CONSTRAINT ledger_redemption_has_kind CHECK ((redemption_id IS NOT NULL)
            = (kind IN (''spend'', ''refund'')) IS NOT FALSE) NOT VALID,
        ADD CONSTRAINT ledger_spend_is_negative
            CHECK (kind <> ''spend'' OR quantity < 0) NOT VALID,
        ADD CONSTRAINT ledger_refund_is_positive
            CHECK (kind <> ''refund'' OR quantity > 0) NOT VALID', home);
    RAISE INFO 'building indexes on the ledger, beside the running system';
EXCEPTION WHEN lock_not_available THEN
    PERFORM pg_temp.lumis_refuse_waiting();
END
$prepare$;

-- Legacy only: indexes without a lock. One that an interruption left invalid is built anew.
CREATE OR REPLACE FUNCTION pg_temp.lumis_ledger_indexes() RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $indexes$
DECLARE
    layout  text := pg_temp.lumis_layout();
    wanted  record;
BEGIN
    IF layout NOT IN ('public', 'rewards') THEN
        RETURN;
    END IF;
    FOR wanted IN SELECT w.* FROM lumis.take_over t, LATERAL (VALUES
        ('fact_accumulations_redemption_kind', 'UNIQUE ', 'fact_accumulations',
            '(redemption_id, kind) WHERE redemption_id IS NOT NULL', true),
        ('fact_accumulations_user', '', 'fact_accumulations', '(user_id, id DESC)',
            (t.remembered->>'user_index')::boolean),
        ('fact_redemptions_user', '', 'fact_redemptions', '(user_id)',
            (t.remembered->>'purchases_index')::boolean)) AS w(name, kind, tab, definition, needed)
        WHERE w.needed
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_index i
            WHERE i.indexrelid = to_regclass(layout || '.' || wanted.name) AND i.indisvalid);
        IF to_regclass(layout || '.' || wanted.name) IS NOT NULL THEN
            RETURN NEXT format('DROP INDEX CONCURRENTLY %I.%I', layout, wanted.name);
        END IF;
        RETURN NEXT format('CREATE %sINDEX CONCURRENTLY %I ON %I.%I %s',
            wanted.kind, wanted.name, layout, wanted.tab, wanted.definition);
    END LOOP;
END
$indexes$;
SELECT pg_temp.lumis_ledger_indexes()
\gexec

DO $migration$
DECLARE
    this_migration constant text := '2025_10_17_redemption_system';
    home      text := pg_temp.lumis_layout();      -- of the legacy system, if there is one
    is_legacy boolean := home IN ('public', 'rewards');
    created   text[] := '{}';
    item      text;
    part      record;
    top       bigint;
    tries     integer := 0;
    stored    regclass;                            -- the legacy table of balances, if there is one
    ledger    regclass;
    ids       regclass;                            -- the sequence of the ledger's ids
    kept      jsonb := '{}';                      -- what down must put back
    replaced  jsonb := '[]';                       -- triggers, likewise
    pathless  jsonb := '[]';                       -- functions, likewise
    refunded  uuid[] := '{}';
    switched  timestamptz;
BEGIN
    IF home = 'applied' THEN
        RAISE NOTICE 'migration % is already applied; nothing to do', this_migration;
        RETURN;
    ELSIF home = 'unfinished' THEN
        RETURN;
    END IF;
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = pg_catalog, pg_temp;
    PERFORM pg_temp.lumis_hindrance(home);
    IF is_legacy THEN
        created := ARRAY(SELECT jsonb_array_elements_text(t.remembered->'made')
            FROM lumis.take_over t);
    END IF;
    FOREACH item IN ARRAY ARRAY['rewards', 'lumis'] LOOP
        IF to_regnamespace(item) IS NULL THEN
            created := created || item;
            EXECUTE format('CREATE SCHEMA %I', item);
        END IF;
    END LOOP;

    ------------------------------------------------------------------------------------------
    -- rewards: the four tables of the programme
    ------------------------------------------------------------------------------------------
    CREATE TABLE rewards.merchants (
        merchant_id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        merchant_name         varchar(255) NOT NULL CONSTRAINT idx_merchants_name UNIQUE,
        merchant_type         varchar(50),
        contact_email         varchar(255),
        contact_phone         varchar(50),
        api_key_hash          varchar(255),        -- bcrypt; for HTTP Basic merchant_id:key
        webhook_url           text,
        is_active             boolean NOT NULL DEFAULT true,
        total_redemptions     integer NOT NULL DEFAULT 0,  -- kept by trg_update_merchant_stats
        total_lumis_redeemed  bigint NOT NULL DEFAULT 0,   -- kept by trg_update_merchant_stats
        created_at            timestamptz NOT NULL DEFAULT now(),
        updated_at            timestamptz NOT NULL DEFAULT now()
    ) WITH (fillfactor = 70);                      -- totals change in place, without index work
    CREATE INDEX idx_merchants_active ON rewards.merchants (merchant_name) WHERE is_active;

    ------------------------------------------------------------------------------------------
    -- lumis: what the programme's four tables have no place for
    ------------------------------------------------------------------------------------------
    CREATE TABLE lumis.migrations (
        name        text PRIMARY KEY,
        applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        applied_by  text NOT NULL DEFAULT session_user,
        created     text[] NOT NULL DEFAULT '{}'   -- schemas and extensions that down takes back
    );
    IF is_legacy AND to_regclass(home || '.fact_balance_points') IS NOT NULL THEN
        stored := format('%I.fact_balance_points', home);
        -- the one place of balances stays the table that the old system reads, writes and locks
        EXECUTE format('CREATE VIEW lumis.balances AS SELECT user_id, balance, latest_update AS '
            'updated_at FROM %s WHERE user_id IS NOT NULL', stored);
    ELSE
        CREATE TABLE lumis.balances (              -- the ledger's trigger is its only writer
            user_id     integer PRIMARY KEY,
            balance     numeric NOT NULL,
            updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
        ) WITH (fillfactor = 70);
    END IF;
    CREATE TABLE lumis.members (
        user_id       integer PRIMARY KEY,
        display_name  text,
        email         text,
        locale        text,
        created_at    timestamptz NOT NULL DEFAULT now(),
        updated_at    timestamptz NOT NULL DEFAULT now()
    );
    CREATE TABLE lumis.events (
        id             bigint GENERATED ALWAYS AS IDENTITY,
        -- ids do not commit in order: the dispatcher follows transactions, not ids
        xid            xid8 NOT NULL DEFAULT pg_current_xact_id(),
        type           text NOT NULL,
        redemption_id  uuid,
        sequence       smallint,                   -- per redemption: 1 created, 2 closed, 3 reversed
        user_id        integer,
        merchant_id    uuid,
        offer_id       uuid,
        payload        jsonb NOT NULL DEFAULT '{}',
        created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (xid, id)
    );
    CREATE UNIQUE INDEX events_redemption ON lumis.events (redemption_id, sequence)
        WHERE redemption_id IS NOT NULL;
    CREATE INDEX events_created ON lumis.events USING brin (created_at);
    CREATE TABLE lumis.event_cursors (             -- how far each reader of events has come
        reader  text PRIMARY KEY,
        xid     xid8 NOT NULL DEFAULT '0',
        id      bigint NOT NULL DEFAULT 0,
        leased_by     text,                    -- one node at a time reads on
        leased_until  timestamptz NOT NULL DEFAULT '-infinity'
    );
    INSERT INTO lumis.event_cursors (reader) VALUES ('dispatcher');
    CREATE TABLE lumis.idempotency_keys (
        actor_type   text NOT NULL,
        actor_id     text NOT NULL,
        key          text NOT NULL,
        fingerprint  bytea NOT NULL,               -- SHA-256 of operation and input
        answer       jsonb,                        -- NULL only inside the deciding transaction
        created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (actor_type, actor_id, key)
    );
    CREATE INDEX idempotency_keys_created ON lumis.idempotency_keys (created_at);
    CREATE TABLE lumis.merchant_keys (
        key_id       text PRIMARY KEY,
        merchant_id  uuid NOT NULL REFERENCES rewards.merchants,
        secret_hash  text NOT NULL,                -- bcrypt of the secret part alone
        label        text,
        created_by   text NOT NULL,
        created_at   timestamptz NOT NULL DEFAULT now(),
        revoked_at   timestamptz
    );
    CREATE INDEX merchant_keys_merchant ON lumis.merchant_keys (merchant_id);
    CREATE TABLE lumis.refusals (                  -- how often an actor was refused in a minute
        actor   text NOT NULL,
        minute  timestamptz NOT NULL,
        kind    text NOT NULL,
        count   integer NOT NULL,
        PRIMARY KEY (actor, minute, kind)
    );
    CREATE TABLE lumis.staff_changes (             -- what administrators change beside redemptions
        change_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        action      text NOT NULL,                 -- noun.verb, as in offer.updated
        entity_id   text NOT NULL,
        changed_by  jsonb NOT NULL,
        before      jsonb,
        after       jsonb,
        created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
    );
    CREATE TABLE lumis.job_marks (                 -- up to when a job has looked
        job   text PRIMARY KEY,
        mark  timestamptz NOT NULL
    );

    IF NOT is_legacy THEN
        CREATE TABLE rewards.redemption_offers (
            offer_id                  uuid PRIMARY KEY DEFAULT gen_random_uuid(),
            name_friendly             varchar(255) NOT NULL,
            description               text,
            lumis_cost                integer NOT NULL,
            stock_quantity            integer,             -- what is left; NULL = unlimited
            stock_held                integer NOT NULL DEFAULT 0,  -- live: pending + confirmed
            merchant_id               uuid REFERENCES rewards.merchants,  -- NULL = any merchant
            is_active                 boolean NOT NULL DEFAULT true,
            valid_from                timestamptz,         -- NULL = open
            valid_to                  timestamptz,         -- NULL = open; exclusive
            offer_category            varchar(100),
            max_redemptions_per_user  integer,             -- NULL = none
            code_ttl_minutes          integer,             -- NULL = the installation's default
            on_expiry                 text NOT NULL DEFAULT 'refund',
            image_url                 text,
            terms                     text,
            created_at                timestamptz NOT NULL DEFAULT now(),
            updated_at                timestamptz NOT NULL DEFAULT now()
        );
    ELSE
        -- What takes time comes before the locks: members whom the old system knows by name, and
        -- those to whom it owes a balance that it has never stored.
        IF to_regclass('public.dim_users') IS NOT NULL THEN
            SELECT string_agg(coalesce((SELECT format('%I::text', a.attname) FROM pg_attribute a
                WHERE a.attrelid = to_regclass('public.dim_users') AND a.attname = w.name
                  AND NOT a.attisdropped), 'NULL'), ', ' ORDER BY w.name DESC) INTO item
            FROM (VALUES ('name'), ('email')) w(name);
            EXECUTE format('INSERT INTO lumis.members (user_id, display_name, email)
                SELECT u.id::integer, %s FROM public.dim_users u
                WHERE u.id::numeric BETWEEN 1 AND 2147483647
                ON CONFLICT DO NOTHING', item);
        END IF;
        CREATE TEMP TABLE owed (user_id integer, at_most bigint) ON COMMIT DROP;
        IF stored IS NOT NULL THEN
            EXECUTE format('INSERT INTO owed SELECT u.user_id FROM (
                SELECT user_id FROM %1$I.fact_accumulations UNION
                SELECT user_id FROM %1$I.fact_redemptions) u
                WHERE u.user_id IS NOT NULL AND NOT EXISTS (SELECT FROM %2$s b
                    WHERE b.user_id = u.user_id AND b.balance IS NOT NULL)', home, stored);
        END IF;
        EXECUTE format('SELECT max(id) FROM %I.fact_accumulations', home) INTO top;

        -- All locks at once, or none: waiting with some in hand would stall the old system, and
        -- an exchange of locks with one of its transactions would end in a deadlock.
        RAISE INFO 'switching over: for a moment the old system waits';
        SET LOCAL jit = off;                       -- compiling would take longer than running
        SET LOCAL lock_timeout = '150ms';
        LOOP
            tries := tries + 1;
            BEGIN
                -- The view first, as its readers do, and alone: LOCK TABLE would lock what it reads.
                IF to_regclass(home || '.vw_hist_accum_redem') IS NOT NULL THEN
                    EXECUTE format('ALTER VIEW %I.vw_hist_accum_redem ALTER COLUMN %I DROP DEFAULT',
                        home, (SELECT a.attname FROM pg_attribute a WHERE a.attnum = 1
                            AND a.attrelid = to_regclass(home || '.vw_hist_accum_redem')));
                END IF;
                -- in the order of the old trigger, so that who earns waits with nothing in hand
                EXECUTE format('LOCK TABLE %1$I.fact_accumulations, %1$I.dim_redemptions,
                    %2$s %1$I.fact_redemptions IN ACCESS EXCLUSIVE MODE', home, stored || ',');
                EXIT;
            EXCEPTION WHEN lock_not_available THEN
                IF tries = 10 THEN
                    PERFORM pg_temp.lumis_refuse_waiting();
                END IF;
                PERFORM pg_sleep(0.2 + random() * 0.4);
            END;
        END LOOP;
        SET LOCAL lock_timeout = '5s';
        SET CONSTRAINTS ALL IMMEDIATE;             -- else their checks would be in the way of DDL
        switched := clock_timestamp();

        IF stored IS NULL THEN
            EXECUTE format('INSERT INTO lumis.balances (user_id, balance)
                SELECT m.user_id, sum(m.points) FROM (
                    SELECT user_id, quantity AS points FROM %1$I.fact_accumulations
                    WHERE dtype = ''points'' UNION ALL
                    SELECT user_id, -quantity FROM %1$I.fact_redemptions) m
                WHERE m.user_id IS NOT NULL AND m.points IS NOT NULL
                GROUP BY m.user_id', home);
        ELSE
            CREATE TABLE lumis.balances_made (user_id integer PRIMARY KEY, existed boolean NOT NULL,
                became numeric NOT NULL);          -- for down
            EXECUTE format('INSERT INTO owed SELECT DISTINCT e.user_id FROM %I.fact_accumulations e
                WHERE e.id > $1 AND e.user_id IS NOT NULL', home) USING top;
            ANALYZE owed;
            EXECUTE format('INSERT INTO lumis.balances_made
                SELECT o.user_id, EXISTS (SELECT FROM %2$s b WHERE b.user_id = o.user_id),
                    coalesce(e.points, 0) - coalesce(p.points, 0)
                FROM (SELECT DISTINCT user_id FROM owed) o
                LEFT JOIN (SELECT e.user_id, sum(e.quantity) AS points FROM %1$I.fact_accumulations e
                    WHERE e.dtype = ''points'' AND e.user_id IN (SELECT user_id FROM owed)
                    GROUP BY e.user_id) e ON e.user_id = o.user_id
                LEFT JOIN (SELECT p.user_id, sum(p.quantity) AS points FROM %1$I.fact_redemptions p
                    WHERE p.user_id IN (SELECT user_id FROM owed)
                    GROUP BY p.user_id) p ON p.user_id = o.user_id
                WHERE NOT EXISTS (SELECT FROM %2$s b
                    WHERE b.user_id = o.user_id AND b.balance IS NOT NULL)', home, stored);
            EXECUTE format('UPDATE %s b SET balance = m.became FROM lumis.balances_made m
                WHERE m.existed AND b.user_id = m.user_id', stored);
            EXECUTE format('INSERT INTO %s (user_id, balance, latest_update)
                SELECT m.user_id, m.became, $1 FROM lumis.balances_made m WHERE NOT m.existed',
                stored) USING switched;
        END IF;

        -- The old trigger would compute the balances anew, without what was redeemed since.
        FOR part IN SELECT t.tgname, t.tgenabled, pg_get_triggerdef(t.oid) AS definition,
                obj_description(t.oid, 'pg_trigger') AS comment
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
            WHERE t.tgrelid = to_regclass(home || '.fact_accumulations') AND NOT t.tgisinternal
              AND (p.prosrc ~* '\mfact_balance_points\M' OR EXISTS (   -- or calls one that does
                SELECT FROM pg_proc q WHERE q.prosrc ~* '\mfact_balance_points\M'
                  AND q.proname ~ '^\w+$' AND p.prosrc ~* ('\m' || q.proname || '\M')))
        LOOP
            replaced := replaced || to_jsonb(part);
            EXECUTE format('DROP TRIGGER %I ON %I.fact_accumulations', part.tgname, home);
        END LOOP;

        -- Triggers of neighbours run for what we write, too, under a search_path of ours, where a
        -- name without its schema would not be found: they get one in which every schema is.
        SELECT string_agg(quote_ident(n.nspname), ', ' ORDER BY n.nspname <> home,
            n.nspname <> 'public', n.nspname) INTO item
        FROM pg_namespace n WHERE n.nspname !~ '^(pg_|lumis)' AND n.nspname <> 'information_schema';
        FOR part IN SELECT DISTINCT p.oid::regprocedure::text AS name
            FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
            WHERE c.relnamespace = to_regnamespace(home) AND NOT t.tgisinternal
              AND c.relname IN ('dim_redemptions', 'fact_accumulations', 'fact_balance_points')
              AND NOT coalesce(array_to_string(p.proconfig, ' '), '') ~ 'search_path='
              AND p.prolang IN (SELECT l.oid FROM pg_language l WHERE l.lanname IN ('plpgsql', 'sql'))
        LOOP
            pathless := pathless || to_jsonb(part.name);
            EXECUTE format('ALTER FUNCTION %s SET search_path = %s', part.name, item);
        END LOOP;
        kept := kept || jsonb_build_object('pathless', pathless);

        -- The old definitions, in the old names, for down; and sequences, which would move along
        -- with their table and could then not be found by name.
        FOR part IN SELECT c.relname, c.relacl, c.relowner, c.relrowsecurity, c.reloptions,
                c.oid AS tab, array_agg(a.attname ORDER BY a.attnum) AS columns
            FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
                AND NOT a.attisdropped
            WHERE c.relnamespace = to_regnamespace(home)
              AND c.relname IN ('dim_redemptions', 'fact_redemptions')
            GROUP BY c.oid
        LOOP
            kept := kept || jsonb_build_object(part.relname, jsonb_build_object(
                'columns', to_jsonb(part.columns), 'options', to_jsonb(part.reloptions),
                'oid', part.tab::oid::bigint, 'sequence', (SELECT s.seq
                    FROM pg_temp.lumis_sequence_of(part.tab, 'id') AS s(seq)
                    JOIN pg_depend d ON d.objid = s.seq AND d.refobjid = part.tab
                        AND d.deptype = 'a')));
        END LOOP;
        kept := kept || jsonb_build_object('triggers', to_jsonb(replaced),
            'history', (SELECT jsonb_build_object('options', c.reloptions,
                'definition', pg_get_viewdef(c.oid))
                FROM pg_class c WHERE c.oid = to_regclass(home || '.vw_hist_accum_redem')
                  AND c.relkind = 'v'),
            'ledger_ids', (SELECT to_jsonb(s) FROM pg_sequences s
                WHERE to_regclass(format('%I.%I', s.schemaname, s.sequencename))
                    = pg_temp.lumis_sequence_of(to_regclass(home || '.fact_accumulations'), 'id')));
        IF kept #> '{dim_redemptions,sequence}' <> 'null' THEN
            EXECUTE format('ALTER SEQUENCE %s OWNED BY NONE',
                kept #>> '{dim_redemptions,sequence}');
        END IF;

        -- The catalogue: the very table, so that foreign keys and views of neighbours follow.
        IF home <> 'rewards' THEN
            EXECUTE format('ALTER TABLE %I.dim_redemptions SET SCHEMA rewards', home);
        END IF;
        -- foreign keys are checked with the rights of the owner of what they refer to
        item := (SELECT c.relowner::regrole FROM pg_class c
            WHERE c.oid = 'rewards.dim_redemptions'::regclass);
        IF NOT has_schema_privilege(item, 'rewards', 'USAGE') THEN
            EXECUTE format('GRANT USAGE ON SCHEMA rewards TO %s', item);
            kept := kept || jsonb_build_object('usage', item);
        END IF;
        ALTER TABLE rewards.dim_redemptions RENAME TO redemption_offers;
        ALTER TABLE rewards.redemption_offers RENAME COLUMN id TO legacy_id;
        ALTER TABLE rewards.redemption_offers RENAME COLUMN points TO lumis_cost;
        ALTER TABLE rewards.redemption_offers
            ADD COLUMN offer_id uuid NOT NULL DEFAULT gen_random_uuid()
                CONSTRAINT redemption_offers_offer_id_key UNIQUE,
            ADD COLUMN description text,
            ADD COLUMN stock_quantity integer,
            ADD COLUMN stock_held integer NOT NULL DEFAULT 0,
            ADD COLUMN merchant_id uuid REFERENCES rewards.merchants,
            ADD COLUMN is_active boolean NOT NULL DEFAULT true,
            ADD COLUMN offer_category varchar(100),
            ADD COLUMN max_redemptions_per_user integer,
            ADD COLUMN code_ttl_minutes integer,
            ADD COLUMN on_expiry text NOT NULL DEFAULT 'refund',
            ADD COLUMN image_url text,
            ADD COLUMN terms text,
            ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
        IF NOT kept #> '{dim_redemptions,columns}' ? 'created_at' THEN
            ALTER TABLE rewards.redemption_offers ADD COLUMN created_at timestamptz;
        END IF;
        CREATE TABLE lumis.take_over_findings (    -- what the operator should look at
            kind     text NOT NULL,
            subject  text NOT NULL,
            detail   text NOT NULL
        );
        INSERT INTO lumis.take_over_findings
        SELECT 'offer inactive', o.legacy_id || ' ' || coalesce(o.name_friendly, ''), f.fault
        FROM rewards.redemption_offers o CROSS JOIN LATERAL pg_temp.lumis_offer_fault(
            o.name_friendly, o.lumis_cost, o.valid_from, o.valid_to) AS f(fault)
        WHERE f.fault IS NOT NULL ORDER BY o.legacy_id;
        EXECUTE replace(regexp_replace(pg_get_functiondef(
            'pg_temp.lumis_offer_fault(text,bigint,timestamptz,timestamptz)'::regprocedure),
            'pg_temp(_\d+)?\.lumis_offer_fault', 'lumis.offer_fault'), 'OR REPLACE ', '');

        -- Whoever writes: the two names of one fact agree, and what cannot be sold is not active.
        CREATE FUNCTION lumis.shape_offer() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        DECLARE
            new_  jsonb := to_jsonb(NEW);
            old_  jsonb := CASE TG_OP WHEN 'UPDATE' THEN to_jsonb(OLD) ELSE '{}' END;
            pair  text[];
            is_old  boolean;
        BEGIN
            FOREACH pair SLICE 1 IN ARRAY ARRAY[['description', 'description_friendly'],
                ['image_url', 'img']]
            LOOP
                IF new_->>pair[1] IS DISTINCT FROM old_->>pair[1] AND new_ ? pair[2] THEN
                    -- the old columns are shorter; ours keeps the whole
                    IF left(new_->>pair[1], 500) IS DISTINCT FROM new_->>pair[2] THEN
                        new_ := new_ || jsonb_build_object(pair[2], left(new_->>pair[1], 500));
                    END IF;
                ELSIF new_->>pair[2] IS DISTINCT FROM old_->>pair[2] THEN
                    new_ := new_ || jsonb_build_object(pair[1], new_->>pair[2]);
                END IF;
            END LOOP;
            IF TG_OP = 'INSERT' THEN
                IF NEW.legacy_id IS NULL THEN      -- the old system has no default: one at a time
                    PERFORM pg_advisory_xact_lock(hashtext('lumis.offers'));
                    new_ := new_ || jsonb_build_object('legacy_id', (SELECT coalesce(max(o.legacy_id), 0)
                        + 1 FROM rewards.redemption_offers o));
                END IF;
                IF new_->>'name' IS NULL THEN      -- not by the old name, which demands one
                    new_ := new_ || jsonb_build_object('name', NEW.name_friendly,
                        'created_at', coalesce(NEW.created_at, now()));
                END IF;
            END IF;
            NEW := jsonb_populate_record(NEW, new_);
            -- Under the old name nobody sees is_active, updated_at or offer_id: there an offer that
            -- cannot be sold goes inactive. Elsewhere a constraint says what it lacks.
            is_old := CASE TG_OP WHEN 'INSERT' THEN substr(NEW.offer_id::text, 15, 1) = '4'
                ELSE NEW.updated_at = OLD.updated_at END;
            IF NEW.is_active AND is_old THEN
                NEW.is_active := lumis.offer_fault(NEW.name_friendly, NEW.lumis_cost,
                    NEW.valid_from, NEW.valid_to) IS NULL;
            ELSIF NEW.is_active THEN               -- shown as open, so open it is
                IF NEW.valid_from NOT BETWEEN '0001-01-02Z' AND '9999-12-31Z' THEN
                    NEW.valid_from := NULL;
                END IF;
                IF NEW.valid_to NOT BETWEEN '0001-01-02Z' AND '9999-12-31Z' THEN
                    NEW.valid_to := NULL;
                END IF;
            END IF;
            RETURN NEW;
        END $$;
        PERFORM pg_temp.lumis_rest_triggers('rewards.redemption_offers', true);
        UPDATE rewards.redemption_offers o
        SET description = to_jsonb(o)->>'description_friendly', image_url = to_jsonb(o)->>'img',
            is_active = lumis.offer_fault(o.name_friendly, o.lumis_cost, o.valid_from, o.valid_to)
                IS NULL;
        PERFORM pg_temp.lumis_rest_triggers('rewards.redemption_offers', false);
        SELECT string_agg(a.attname, ', ') INTO item FROM pg_attribute a
        WHERE a.attrelid = 'rewards.redemption_offers'::regclass AND a.attname IN ('legacy_id',
            'name', 'name_friendly', 'description_friendly', 'description', 'img', 'image_url',
            'lumis_cost', 'valid_from', 'valid_to', 'is_active') AND NOT a.attisdropped;
        EXECUTE format('CREATE TRIGGER trg_shape_offer BEFORE INSERT OR UPDATE OF %s
            ON rewards.redemption_offers FOR EACH ROW EXECUTE FUNCTION lumis.shape_offer()', item);

        EXECUTE format('ALTER TABLE %I.fact_redemptions RENAME TO fact_redemptions_legacy', home);
    END IF;
    ALTER TABLE rewards.redemption_offers
        SET (fillfactor = 50),                     -- a hot offer's stock changes in place
        ADD CONSTRAINT offers_active_has_price
            CHECK (NOT is_active OR (lumis_cost IS NOT NULL AND lumis_cost > 0)),
        ADD CONSTRAINT offers_active_has_name
            CHECK (NOT is_active OR coalesce(btrim(name_friendly), '') <> ''),
        ADD CONSTRAINT offers_window_opens_before_it_ends
            CHECK (NOT is_active OR valid_from < valid_to),
        ADD CONSTRAINT offers_stock_not_negative CHECK (stock_quantity >= 0),
        ADD CONSTRAINT offers_held_not_negative CHECK (stock_held >= 0),
        ADD CONSTRAINT offers_limit_positive CHECK (max_redemptions_per_user > 0),
        ADD CONSTRAINT offers_ttl_positive CHECK (code_ttl_minutes > 0),
        ADD CONSTRAINT offers_on_expiry_known CHECK (on_expiry IN ('refund', 'forfeit'));
    -- no now() in a predicate: PostgreSQL wants it immutable, so the date is in the key;
    -- an offer that was taken over may have no time of its making
    CREATE INDEX idx_offers_active_valid ON rewards.redemption_offers
        ((CASE WHEN isfinite(created_at) THEN created_at ELSE '1970-01-01Z'::timestamptz END) DESC,
         offer_id DESC, valid_to) WHERE is_active;
    CREATE INDEX idx_offers_category ON rewards.redemption_offers (offer_category) WHERE is_active;
    CREATE INDEX idx_offers_cost ON rewards.redemption_offers (lumis_cost, offer_id) WHERE is_active;
    CREATE INDEX idx_offers_merchant ON rewards.redemption_offers (merchant_id);

    CREATE TABLE rewards.user_redemptions (
        redemption_id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id                   integer NOT NULL,    -- no foreign key: members live elsewhere
        offer_id                  uuid NOT NULL REFERENCES rewards.redemption_offers (offer_id),
        lumis_spent               integer NOT NULL,
        redemption_code           varchar(64) NOT NULL CONSTRAINT idx_redemptions_code UNIQUE,
        qr_image_url              text,
        qr_landing_url            text,
        redemption_status         varchar(20) NOT NULL DEFAULT 'pending',
        validated_by_merchant_id  uuid REFERENCES rewards.merchants,
        validated_at              timestamptz,         -- first use; stays when reversed
        code_expires_at           timestamptz NOT NULL DEFAULT now() + interval '1 day',
        created_at                timestamptz NOT NULL DEFAULT now(),
        -- frozen from the offer when it was redeemed: later edits do not touch an issued code
        offer_name                varchar(255),
        merchant_id               uuid REFERENCES rewards.merchants,
        on_expiry                 text NOT NULL DEFAULT 'refund',
        landing_token             text,                -- what the QR carries; never the code
        closed_at                 timestamptz,         -- cancelled, expired or reversed
        cancellation_reason       text,
        changed_by                jsonb,               -- type, id, ip, agent, request_id, details
        CONSTRAINT redemptions_status_known
            CHECK (redemption_status IN ('pending', 'confirmed', 'cancelled', 'expired')),
        CONSTRAINT redemptions_cost_positive CHECK (lumis_spent > 0),
        CONSTRAINT redemptions_on_expiry_known CHECK (on_expiry IN ('refund', 'forfeit'))
    ) WITH (fillfactor = 85);
    CREATE INDEX idx_redemptions_user ON rewards.user_redemptions
        (user_id, created_at DESC, redemption_id DESC);
    CREATE INDEX idx_redemptions_status ON rewards.user_redemptions
        (redemption_status, code_expires_at);
    CREATE INDEX idx_redemptions_offer ON rewards.user_redemptions (offer_id, redemption_status);
    CREATE INDEX idx_redemptions_merchant ON rewards.user_redemptions
        (validated_by_merchant_id, validated_at DESC, redemption_id DESC)
        WHERE validated_by_merchant_id IS NOT NULL;
    CREATE INDEX idx_redemptions_created ON rewards.user_redemptions
        (created_at DESC, redemption_id DESC);
    CREATE UNIQUE INDEX idx_redemptions_landing ON rewards.user_redemptions (landing_token)
        WHERE landing_token IS NOT NULL;

    CREATE TABLE rewards.redemption_audit_log (
        log_id         bigserial PRIMARY KEY,
        redemption_id  uuid,      -- no foreign key: the log outlives what it tells of
        action         varchar(50) NOT NULL,
        actor_type     varchar(50) NOT NULL,
        actor_id       varchar(255),
        ip_address     inet,
        user_agent     text,
        metadata       jsonb,
        created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
        request_id     text,
        CONSTRAINT audit_action_known CHECK (action IN ('created', 'validated', 'confirmed',
            'cancelled', 'reversed', 'expired', 'refused', 'deleted'))
    );
    CREATE INDEX idx_audit_redemption ON rewards.redemption_audit_log (redemption_id, log_id);
    CREATE INDEX idx_audit_action ON rewards.redemption_audit_log (action, log_id DESC);
    CREATE INDEX idx_audit_created ON rewards.redemption_audit_log (created_at);

    ------------------------------------------------------------------------------------------
    -- public.fact_accumulations: the ledger. Other systems insert their points here too.
    ------------------------------------------------------------------------------------------
    IF NOT is_legacy THEN
        CREATE TABLE public.fact_accumulations (
            id             bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            user_id        integer NOT NULL,
            accum_id       integer,
            accum_type     text,
            accum_key      text,
            dtype          text NOT NULL DEFAULT 'points',   -- other kinds move no points
            quantity       numeric NOT NULL,
            date           timestamptz NOT NULL DEFAULT clock_timestamp(),
            redemption_id  uuid,
            kind           text,
            CONSTRAINT ledger_quantity_finite CHECK (quantity NOT IN ('NaN', 'Infinity', '-Infinity')),
            CONSTRAINT ledger_kind_known
                    CHECK (kind IN ('spend', 'refund', 'grant', 'adjustment', 'opening')),
            CONSTRAINT ledger_redemption_has_kind
                CHECK ((redemption_id IS NOT NULL) = (kind IN ('spend', 'refund')) IS NOT FALSE),
            CONSTRAINT ledger_spend_is_negative CHECK (kind <> 'spend' OR quantity < 0),
            CONSTRAINT ledger_refund_is_positive CHECK (kind <> 'refund' OR quantity > 0)
        );
        CREATE INDEX fact_accumulations_user ON public.fact_accumulations (user_id, id DESC);
        -- one spend and at most one refund for a redemption, whoever writes
        CREATE UNIQUE INDEX fact_accumulations_redemption_kind ON public.fact_accumulations
            (redemption_id, kind) WHERE redemption_id IS NOT NULL;
        ledger := 'public.fact_accumulations';
    ELSE
        ledger := home || '.fact_accumulations';
        IF home <> 'public' THEN                   -- one name for us, wherever the table is
            EXECUTE format('CREATE VIEW public.fact_accumulations %s AS SELECT * FROM %s',
                (SELECT 'WITH (security_invoker)' FROM pg_class c
                 WHERE c.oid = ledger AND c.relrowsecurity), ledger);
            PERFORM pg_temp.lumis_copy_grants(ledger, 'public.fact_accumulations');
        END IF;
    END IF;
    ids := pg_temp.lumis_sequence_of(ledger, 'id');
    IF ids IS NULL THEN                            -- the old system brings its own
        CREATE SEQUENCE lumis.ledger_ids;
        ids := 'lumis.ledger_ids';
        kept := kept || jsonb_build_object('id_default', coalesce(
            (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a
                ON (a.attrelid, a.attnum) = (d.adrelid, d.adnum)
             WHERE a.attrelid = ledger AND a.attname = 'id'), 'none'));
        EXECUTE format('ALTER TABLE %s ALTER COLUMN id SET DEFAULT nextval(%L)', ledger, ids);
    END IF;
    EXECUTE format('CREATE FUNCTION lumis.next_ledger_id() RETURNS bigint LANGUAGE sql
        SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L', format('SELECT nextval(%L)', ids));
    -- Others may bring ids of their own: the next one of ours must not be among them.
    EXECUTE format($make$CREATE FUNCTION lumis.pass_ledger_ids(used bigint) RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pass$
        DECLARE
            last  bigint := (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM %1$s);
        BEGIN
            IF used - last > 1000 THEN
                PERFORM setval(%1$L, used);
                RETURN;
            END IF;
            WHILE last < used LOOP   -- not setval: another session may be further by now
                last := nextval(%1$L);
            END LOOP;
        END $pass$$make$, ids);

    ------------------------------------------------------------------------------------------
    -- Functions and triggers
    ------------------------------------------------------------------------------------------

    -- The one predicate for "may this offer be redeemed now"; NULL means yes, otherwise why not.
    CREATE FUNCTION lumis.offer_refusal(
        is_active boolean, valid_from timestamptz, valid_to timestamptz, stock integer, at timestamptz
    ) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT CASE
            WHEN NOT is_active THEN 'offer_inactive'
            WHEN at < valid_from THEN 'offer_not_started'
            WHEN at >= valid_to THEN 'offer_ended'
            WHEN stock <= 0 THEN 'out_of_stock'
        END
    $$;

    -- Balances follow the ledger, whoever inserts. Sorted, so that two statements that touch the
    -- same members cannot deadlock; a spend that would end below zero is refused here as well.
    CREATE FUNCTION lumis.apply_ledger_entries() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        was        text := coalesce(current_setting('lumis.posting', true), '');
        is_booked  boolean := false;
    BEGIN
        PERFORM lumis.pass_ledger_ids(max(e.id)) FROM entries e WHERE e.kind IS NULL
            HAVING max(e.id) IS NOT NULL;
        -- What the trigger of a legacy balance books, and openings, are in the balance already. The
        -- setting is believed only where a session cannot be the one who made it.
        IF was = 'balance' THEN
            is_booked := pg_trigger_depth() > 1 OR NOT EXISTS (SELECT FROM lumis.migrations m
                WHERE m.name = '2025_10_17_redemption_system');
        END IF;
        PERFORM set_config('lumis.posting', 'ledger', true);
        INSERT INTO lumis.balances AS b (user_id, balance, updated_at)
        SELECT e.user_id, sum(e.quantity), clock_timestamp() FROM entries e
        WHERE e.dtype = 'points' AND e.user_id IS NOT NULL AND e.quantity IS NOT NULL
          AND NOT (is_booked AND e.accum_type IN ('legacy_balance', 'opening'))
        GROUP BY e.user_id ORDER BY e.user_id
        ON CONFLICT (user_id) DO UPDATE
            SET balance = coalesce(b.balance, 0) + excluded.balance, updated_at = clock_timestamp();
        PERFORM set_config('lumis.posting', was, true);
        IF EXISTS (SELECT FROM entries e JOIN lumis.balances b USING (user_id)
                   WHERE e.kind = 'spend' AND b.balance < 0) THEN
            RAISE EXCEPTION 'a member cannot spend below zero' USING ERRCODE = 'LM003';
        END IF;
        RETURN NULL;
    END $$;
    EXECUTE format('CREATE TRIGGER trg_ledger_balances AFTER INSERT ON %s
        REFERENCING NEW TABLE AS entries
        FOR EACH STATEMENT EXECUTE FUNCTION lumis.apply_ledger_entries()', ledger);

    CREATE FUNCTION lumis.keep_ledger_immutable() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RAISE EXCEPTION 'ledger entries are immutable' USING ERRCODE = 'LM002',
            HINT = 'Insert an entry with the opposite quantity instead.';
    END $$;
    -- a legacy ledger has columns that move no points
    EXECUTE format('CREATE TRIGGER trg_ledger_immutable BEFORE UPDATE %s OR DELETE ON %s
        FOR EACH ROW EXECUTE FUNCTION lumis.keep_ledger_immutable()', CASE WHEN is_legacy
        THEN 'OF id, user_id, dtype, quantity, date, redemption_id, kind' ELSE '' END, ledger);
    EXECUTE format('CREATE TRIGGER trg_ledger_never_truncated BEFORE TRUNCATE ON %s
        FOR EACH STATEMENT EXECUTE FUNCTION lumis.keep_ledger_immutable()', ledger);

    -- Audits each redemption made, changed in status or deleted, and guards the state machine:
    -- pending -> confirmed | cancelled | expired, and confirmed -> cancelled with a reason.
    -- The actor is the row's changed_by; a change that left it as it was came from outside.
    CREATE FUNCTION rewards.audit_redemption_change() RETURNS trigger
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
    CREATE TRIGGER trg_audit_redemption_changes
        AFTER INSERT OR UPDATE OR DELETE ON rewards.user_redemptions
        FOR EACH ROW EXECUTE FUNCTION rewards.audit_redemption_change();

    -- Merchant totals: confirmed adds, a reversal takes back.
    CREATE FUNCTION rewards.update_merchant_stats() RETURNS trigger
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
    CREATE TRIGGER trg_update_merchant_stats
        AFTER UPDATE ON rewards.user_redemptions
        FOR EACH ROW EXECUTE FUNCTION rewards.update_merchant_stats();

    -- May this merchant act, with this key (or, for HTTP Basic, with the hash its key was proven
    -- against)? Read by the statement that decides, so that a revocation holds at once.
    CREATE FUNCTION lumis.merchant_may_act(merchant uuid, key text, proven_hash text)
    RETURNS boolean LANGUAGE sql STABLE AS $$
        SELECT EXISTS (
            SELECT FROM rewards.merchants m
            WHERE m.merchant_id = merchant AND m.is_active
              AND CASE WHEN key IS NULL THEN m.api_key_hash = proven_hash
                  ELSE EXISTS (SELECT FROM lumis.merchant_keys k WHERE k.key_id = key
                               AND k.merchant_id = merchant AND k.revoked_at IS NULL) END)
    $$;

    -- Ends redemptions as cancelled, reversed or expired: the one place where points and stock go
    -- back. The caller has decided and holds the locks on redemptions, members and offers, in that
    -- order. Arrays of one length; `by` NULL leaves changed_by alone, so that the audit names the
    -- session's user. Returns how many it ended.
    CREATE FUNCTION lumis.close_redemptions(
        ids uuid[], status text, at timestamptz, by jsonb[], reasons text[], restock boolean[]
    ) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        closed  integer;
    BEGIN
        WITH closed AS (
            UPDATE rewards.user_redemptions r
            SET redemption_status = status, closed_at = at,
                cancellation_reason = i.reason, changed_by = coalesce(i.by, r.changed_by)
            FROM unnest(ids, by, reasons, restock) AS i(redemption_id, by, reason, restock)
            WHERE r.redemption_id = i.redemption_id
            RETURNING r.*, i.restock,
                CASE WHEN status = 'expired' AND r.on_expiry = 'forfeit' THEN 0
                     ELSE r.lumis_spent END AS lumis_refunded,
                CASE WHEN status = 'cancelled' AND r.validated_at IS NOT NULL THEN 'reversed'
                     ELSE status END AS outcome
        ), refund AS (
            INSERT INTO public.fact_accumulations
                (user_id, accum_type, dtype, quantity, date, redemption_id, kind)
            SELECT c.user_id, 'redemption', 'points', -spend.quantity, clock_timestamp(),
                c.redemption_id, 'refund'
            FROM closed c
            -- what was never spent (a row made by hand) is not given back either
            JOIN public.fact_accumulations spend
                ON spend.redemption_id = c.redemption_id AND spend.kind = 'spend'
            WHERE c.lumis_refunded > 0
        ), restocked AS (
            UPDATE rewards.redemption_offers o
            -- never out of range: one offer's overflow must not stop everybody's expiry
            SET stock_quantity = CASE WHEN o.stock_quantity > 2147483647 - back.units
                    THEN 2147483647 ELSE o.stock_quantity + back.units END,
                stock_held = greatest(o.stock_held - back.held, 0)
            FROM (SELECT c.offer_id, count(*)::integer AS held,
                         count(*) FILTER (WHERE c.restock)::integer AS units
                  FROM closed c GROUP BY c.offer_id) back
            WHERE o.offer_id = back.offer_id
        ), event AS (
            INSERT INTO lumis.events
                (type, redemption_id, sequence, user_id, merchant_id, offer_id, payload)
            SELECT 'redemption.' || c.outcome, c.redemption_id,
                CASE c.outcome WHEN 'reversed' THEN 3 ELSE 2 END, c.user_id,
                coalesce(c.validated_by_merchant_id, c.merchant_id), c.offer_id,
                jsonb_strip_nulls(jsonb_build_object('lumis_spent', c.lumis_spent, 'offer_name',
                    c.offer_name, 'lumis_refunded', c.lumis_refunded,
                    'reason', c.cancellation_reason))
            FROM closed c
        )
        SELECT count(*) INTO closed FROM closed;
        RETURN closed;
    END $$;

    -- Books the expiry of those among `ids` that are pending and due. Returns how many.
    CREATE FUNCTION lumis.expire_redemptions(ids uuid[], by jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
        due  uuid[];
    BEGIN
        PERFORM FROM rewards.user_redemptions r
            WHERE r.redemption_id = ANY (ids) ORDER BY r.redemption_id FOR NO KEY UPDATE;
        -- a statement of its own: the clock is read after the lock was granted
        due := ARRAY(SELECT r.redemption_id FROM rewards.user_redemptions r
            WHERE r.redemption_id = ANY (ids) AND r.redemption_status = 'pending'
              AND r.code_expires_at <= clock_timestamp());
        IF due = '{}' THEN
            RETURN 0;
        END IF;
        PERFORM FROM lumis.balances b WHERE b.user_id IN
            (SELECT r.user_id FROM rewards.user_redemptions r WHERE r.redemption_id = ANY (due))
            ORDER BY b.user_id FOR NO KEY UPDATE;
        PERFORM FROM rewards.redemption_offers o WHERE o.offer_id IN
            (SELECT r.offer_id FROM rewards.user_redemptions r WHERE r.redemption_id = ANY (due))
            ORDER BY o.offer_id FOR NO KEY UPDATE;
        RETURN lumis.close_redemptions(due, 'expired', clock_timestamp(), array_fill(by, ARRAY[cardinality(due)]),
            NULL, array_fill(true, ARRAY[cardinality(due)]));
    END $$;

    -- What cron, the worker and psql call: books at most 10,000 due redemptions, oldest first,
    -- skipping those that somebody is acting on right now. Call again until it returns 0.
    CREATE FUNCTION rewards.expire_old_redemptions() RETURNS integer
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

    -- They trust their caller's decision, so nobody calls them by default.
    -- The triggers' too: on a table of one's own they would write balances, audit rows and totals.
    REVOKE ALL ON FUNCTION
        lumis.close_redemptions(uuid[], text, timestamptz, jsonb[], text[], boolean[]),
        lumis.expire_redemptions(uuid[], jsonb), lumis.apply_ledger_entries(),
        lumis.keep_ledger_immutable(), lumis.pass_ledger_ids(bigint),
        rewards.audit_redemption_change(), rewards.update_merchant_stats() FROM PUBLIC;

    ------------------------------------------------------------------------------------------
    -- The old names go on working, for whoever has been granted them.
    ------------------------------------------------------------------------------------------
    IF is_legacy THEN
        FOR part IN SELECT c.*, c.oid, v.name FROM pg_class c JOIN (VALUES
            ('rewards.redemption_offers'::regclass, 'dim_redemptions'),
            (to_regclass(home || '.fact_redemptions_legacy'), 'fact_redemptions')
            ) AS v(tab, name) ON c.oid = v.tab
        LOOP
            EXECUTE format('CREATE VIEW %I.%I %s AS SELECT %s FROM %s', home, part.name,
                CASE WHEN part.relrowsecurity THEN 'WITH (security_invoker)' END,
                (SELECT string_agg(CASE WHEN part.name = 'dim_redemptions' AND k.name = 'id'
                    THEN 'legacy_id AS id' WHEN part.name = 'dim_redemptions' AND k.name = 'points'
                    THEN 'lumis_cost AS points' ELSE quote_ident(k.name) END, ', ' ORDER BY k.ord)
                 FROM jsonb_array_elements_text(kept #> ARRAY[part.name, 'columns'])
                    WITH ORDINALITY AS k(name, ord)), part.oid::regclass);
            PERFORM pg_temp.lumis_copy_grants(part.oid, to_regclass(format('%I.%I', home, part.name)));
        END LOOP;

        IF stored IS NOT NULL THEN
            -- A balance that the old system changes is booked, since the ledger must sum to it.
            CREATE FUNCTION lumis.book_balance_change() RETURNS trigger
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
            DECLARE
                was  text := coalesce(current_setting('lumis.posting', true), '');
            BEGIN
                IF was = 'ledger' AND pg_trigger_depth() > 1 THEN
                    RETURN NULL;                   -- the ledger's own trigger
                END IF;
                PERFORM set_config('lumis.posting', 'balance', true);
                INSERT INTO public.fact_accumulations
                    (user_id, accum_type, dtype, quantity, date, kind)
                SELECT c.user_id, 'legacy_balance', 'points', sum(c.points), clock_timestamp(),
                    'adjustment'
                FROM (SELECT OLD.user_id, -OLD.balance AS points WHERE TG_OP <> 'INSERT' UNION ALL
                      SELECT NEW.user_id, NEW.balance WHERE TG_OP <> 'DELETE') c
                WHERE c.user_id IS NOT NULL GROUP BY c.user_id HAVING sum(c.points) <> 0;
                PERFORM set_config('lumis.posting', was, true);
                RETURN NULL;
            END $$;
            EXECUTE format('CREATE TRIGGER trg_balance_booked AFTER INSERT OR UPDATE OR DELETE ON %s
                FOR EACH ROW EXECUTE FUNCTION lumis.book_balance_change()', stored);
            REVOKE ALL ON FUNCTION lumis.book_balance_change() FROM PUBLIC;
            EXECUTE format('CREATE TRIGGER trg_balance_never_truncated BEFORE TRUNCATE ON %s
                FOR EACH STATEMENT EXECUTE FUNCTION lumis.keep_ledger_immutable()', stored);
        END IF;
        -- Purchases of the old system move no points by themselves; down has to know of them.
        CREATE TABLE lumis.purchase_changes (user_id integer, points numeric NOT NULL);
        CREATE FUNCTION lumis.note_purchase() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        BEGIN
            INSERT INTO lumis.purchase_changes
            SELECT c.user_id, c.points
            FROM (SELECT OLD.user_id, -OLD.quantity AS points WHERE TG_OP <> 'INSERT' UNION ALL
                  SELECT NEW.user_id, NEW.quantity WHERE TG_OP <> 'DELETE') c
            WHERE c.points <> 0;
            IF TG_ARGV[0] = 'pays' THEN
                INSERT INTO public.fact_accumulations
                    (user_id, accum_type, dtype, quantity, date, kind)
                SELECT c.user_id, 'legacy_balance', 'points', c.points, clock_timestamp(),
                    'adjustment'
                FROM (SELECT OLD.user_id, OLD.quantity AS points WHERE TG_OP <> 'INSERT' UNION ALL
                      SELECT NEW.user_id, -NEW.quantity WHERE TG_OP <> 'DELETE') c
                WHERE c.points <> 0 AND c.user_id IS NOT NULL;
            END IF;
            RETURN NULL;
        END $$;
        -- where no balance is stored, nothing but the purchase itself can have paid
        EXECUTE format('CREATE TRIGGER trg_purchase_noted AFTER INSERT OR UPDATE OR DELETE
            ON %I.fact_redemptions_legacy FOR EACH ROW EXECUTE FUNCTION lumis.note_purchase(%s)',
            home, CASE WHEN stored IS NULL THEN '''pays''' ELSE '' END);
        REVOKE ALL ON FUNCTION lumis.shape_offer(), lumis.note_purchase() FROM PUBLIC;

        EXECUTE format($$CREATE VIEW lumis.past_purchases AS
            SELECT md5('fact_redemptions ' || f.id)::uuid AS purchase_id, f.id::bigint AS legacy_id,
                f.user_id, o.offer_id,
                coalesce(nullif(o.name_friendly, ''), f.redem_id)::text AS offer_name,
                f.quantity::numeric AS points, f.date AS bought_at, f.expiration_date AS expires_at
            FROM %I.fact_redemptions_legacy f
            LEFT JOIN rewards.redemption_offers o ON o.legacy_id
                = CASE WHEN f.redem_id ~ '^(0|-?[1-9][0-9]{0,8})$' THEN f.redem_id::integer END
            WHERE lower(f.condition1) = 'canjeado'$$, home);

        -- The history that old screens show: without our entries in the ledger, with redemptions
        -- that hold or have used points. Its name, columns, owner and grants stay.
        EXECUTE format($$CREATE VIEW lumis.fact_accumulations AS SELECT * FROM %s
            WHERE kind IS NULL OR kind = 'grant'
               OR (kind = 'adjustment' AND accum_type NOT LIKE 'legacy_balance%%')$$, ledger);
        CREATE VIEW lumis.redeemed AS
            SELECT r.user_id, r.offer_name AS name_friendly, o.description AS description_friendly,
                r.lumis_spent::numeric AS quantity, r.created_at AS date, o.image_url AS img
            FROM rewards.user_redemptions r JOIN rewards.redemption_offers o USING (offer_id)
            WHERE r.redemption_status IN ('pending', 'confirmed')
               OR (r.redemption_status = 'expired' AND r.on_expiry = 'forfeit');
        IF kept->'history' <> 'null' THEN
            PERFORM pg_temp.lumis_widen_history(home, ledger);
        END IF;
    ELSE
        CREATE VIEW lumis.past_purchases AS        -- nothing was bought before us
            SELECT NULL::uuid AS purchase_id, NULL::bigint AS legacy_id, NULL::integer AS user_id,
                NULL::uuid AS offer_id, NULL::text AS offer_name, NULL::numeric AS points,
                NULL::timestamptz AS bought_at, NULL::timestamptz AS expires_at
            WHERE false;
    END IF;

    ------------------------------------------------------------------------------------------
    -- What an earlier `migrate down` put aside comes back whole.
    ------------------------------------------------------------------------------------------
    IF to_regnamespace('lumis_archive') IS NOT NULL THEN
        -- in the order of the foreign keys; triggers rest, since their work is in the rows
        FOR part IN
            SELECT t.ord, t.name::regclass AS tab, split_part(t.name, '.', 2) AS name
            FROM unnest(ARRAY['rewards.merchants', 'rewards.redemption_offers',
                'rewards.user_redemptions', 'rewards.redemption_audit_log',
                'public.fact_accumulations', 'lumis.balances', 'lumis.members', 'lumis.events',
                'lumis.event_cursors', 'lumis.idempotency_keys', 'lumis.merchant_keys',
                'lumis.refusals', 'lumis.staff_changes', 'lumis.job_marks'])
                WITH ORDINALITY AS t(name, ord)
            WHERE to_regclass('lumis_archive.' || split_part(t.name, '.', 2)) IS NOT NULL
            ORDER BY t.ord
        LOOP
            SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO item
            FROM pg_attribute a
            WHERE a.attrelid = to_regclass('lumis_archive.' || part.name) AND a.attnum > 0
              AND NOT a.attisdropped;
            IF is_legacy AND part.name = 'redemption_offers' THEN
                -- The rows are here. Ours is what the old columns do not hold; an offer that was
                -- deleted meanwhile is still needed when somebody has redeemed it.
                PERFORM pg_temp.lumis_rest_triggers(part.tab, true);
                UPDATE rewards.redemption_offers o
                SET offer_id = a.offer_id, stock_quantity = a.stock_quantity,
                    stock_held = a.stock_held, merchant_id = a.merchant_id,
                    is_active = a.is_active AND lumis.offer_fault(o.name_friendly, o.lumis_cost,
                        o.valid_from, o.valid_to) IS NULL,
                    offer_category = a.offer_category,
                    max_redemptions_per_user = a.max_redemptions_per_user,
                    code_ttl_minutes = a.code_ttl_minutes, on_expiry = a.on_expiry,
                    terms = a.terms, updated_at = a.updated_at,
                    description = CASE WHEN to_jsonb(a)->'description_friendly'
                        IS NOT DISTINCT FROM to_jsonb(o)->'description_friendly'
                        THEN a.description ELSE o.description END,
                    image_url = CASE WHEN to_jsonb(a)->'img' IS NOT DISTINCT FROM to_jsonb(o)->'img'
                        THEN a.image_url ELSE o.image_url END
                FROM lumis_archive.redemption_offers a WHERE a.legacy_id = o.legacy_id;
                INSERT INTO lumis.take_over_findings
                SELECT 'offer changed', o.legacy_id || ' ' || coalesce(o.name_friendly, ''),
                    format('was %s before down: stock, merchant and state are of that one',
                        a.name_friendly)
                FROM rewards.redemption_offers o JOIN lumis_archive.redemption_offers a
                    USING (legacy_id)
                WHERE a.name_friendly <> o.name_friendly;
                kept := kept || jsonb_build_object('revived', ARRAY(SELECT a.legacy_id
                    FROM lumis_archive.redemption_offers a
                    WHERE a.legacy_id NOT IN (SELECT o.legacy_id FROM rewards.redemption_offers o)));
                INSERT INTO rewards.redemption_offers OVERRIDING SYSTEM VALUE
                SELECT (jsonb_populate_record(NULL::rewards.redemption_offers,
                    to_jsonb(a) || '{"is_active": false}')).*
                FROM lumis_archive.redemption_offers a
                WHERE a.offer_id IN (SELECT r.offer_id FROM lumis_archive.user_redemptions r)
                  AND a.legacy_id NOT IN (SELECT o.legacy_id FROM rewards.redemption_offers o);
                PERFORM pg_temp.lumis_rest_triggers(part.tab, false);
            ELSIF is_legacy AND part.name = 'fact_accumulations' THEN
                -- The openings are made anew. An id may have been taken meanwhile.
                PERFORM pg_temp.lumis_rest_triggers(ledger, true);
                PERFORM lumis.pass_ledger_ids(greatest(
                    (SELECT max(a.id) FROM lumis_archive.fact_accumulations a),
                    (SELECT max(e.id) FROM public.fact_accumulations e)));
                UPDATE lumis_archive.fact_accumulations a SET id = lumis.next_ledger_id()
                WHERE EXISTS (SELECT FROM public.fact_accumulations e WHERE e.id = a.id);
                EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE
                    SELECT %2$s FROM lumis_archive.fact_accumulations WHERE kind <> ''opening''',
                    ledger, item);
                EXECUTE format('UPDATE %s e SET kind = k.kind FROM lumis_archive.entry_kinds k
                    WHERE e.id = k.id AND e.user_id = k.user_id AND e.quantity = k.quantity', ledger);
                PERFORM pg_temp.lumis_rest_triggers(ledger, false);
                -- what down wrote as purchases are redemptions again
                PERFORM pg_temp.lumis_rest_triggers(
                    (home || '.fact_redemptions_legacy')::regclass, true);
                -- The old system may have changed them: what it took off a row is a change of its
                -- own, and a row that is no longer as written keeps what was added to it.
                EXECUTE format('SELECT ARRAY(SELECT r.redemption_id
                    FROM lumis_archive.written_purchases w
                    JOIN rewards.user_redemptions r ON r.redemption_id = ANY (w.redemptions)
                    WHERE NOT w.merged AND r.redemption_status IN (''pending'', ''confirmed'')
                      AND NOT EXISTS (SELECT FROM %1$I.fact_redemptions_legacy f
                        WHERE (f.id, f.user_id, f.redem_id) = (w.id, w.user_id, w.redem_id)))', home)
                    INTO refunded;
                EXECUTE format('INSERT INTO lumis.purchase_changes
                    SELECT w.user_id, w.quantity - coalesce(f.quantity, 0)
                    FROM lumis_archive.written_purchases w
                    LEFT JOIN %1$I.fact_redemptions_legacy f
                        ON (f.id, f.user_id, f.redem_id) = (w.id, w.user_id, w.redem_id)
                    WHERE w.quantity > coalesce(f.quantity, 0) AND NOT w.redemptions && $1', home)
                    USING refunded;
                EXECUTE format('DELETE FROM %1$I.fact_redemptions_legacy f USING lumis_archive.written_purchases w
                    WHERE NOT w.merged AND (f.id, f.user_id, f.redem_id) = (w.id, w.user_id, w.redem_id)
                      AND (f.date, f.expiration_date) = (w.date, w.date)
                      AND w.quantity >= coalesce(f.quantity, 0);
                    UPDATE %1$I.fact_redemptions_legacy f
                    SET quantity = greatest(f.quantity - w.quantity, 0)
                    FROM lumis_archive.written_purchases w
                    WHERE (f.id, f.user_id, f.redem_id) = (w.id, w.user_id, w.redem_id)', home);
                PERFORM pg_temp.lumis_rest_triggers(
                    (home || '.fact_redemptions_legacy')::regclass, false);
            ELSIF NOT is_legacy OR part.name <> 'balances' THEN
                EXECUTE format('ALTER TABLE %s DISABLE TRIGGER USER', part.tab);
                EXECUTE format('DELETE FROM %s t %s', part.tab, CASE WHEN part.name = 'members' THEN
                    'USING lumis_archive.members a WHERE a.user_id = t.user_id' ELSE '' END);
                EXECUTE format('INSERT INTO %1$s (%2$s) OVERRIDING SYSTEM VALUE '
                    'SELECT %2$s FROM lumis_archive.%3$I', part.tab, item, part.name);
                EXECUTE format('ALTER TABLE %s ENABLE TRIGGER USER', part.tab);
            END IF;
            IF NOT is_legacy OR part.name NOT IN ('redemption_offers', 'fact_accumulations') THEN
                FOR item IN
                    SELECT a.attname FROM pg_attribute a
                    WHERE a.attrelid = part.tab AND a.attnum > 0 AND NOT a.attisdropped
                      AND pg_get_serial_sequence(part.tab::text, a.attname) IS NOT NULL
                LOOP
                    EXECUTE format('SELECT max(%I) FROM %s', item, part.tab) INTO top;
                    PERFORM setval(pg_get_serial_sequence(part.tab::text, item),
                        coalesce(top, 1), top IS NOT NULL);
                END LOOP;
            END IF;
            EXECUTE format('DROP TABLE lumis_archive.%I', part.name);
        END LOOP;
        -- The old system took back a purchase that down wrote: its points are with the member.
        IF refunded <> '{}' THEN
            PERFORM pg_temp.lumis_rest_triggers(ledger, true);
            PERFORM lumis.close_redemptions(refunded, 'cancelled', clock_timestamp(),
                array_fill('{"type": "system", "id": "migrate up"}'::jsonb,
                    ARRAY[cardinality(refunded)]),
                array_fill('taken back by the old system'::text, ARRAY[cardinality(refunded)]),
                array_fill(true, ARRAY[cardinality(refunded)]));
            PERFORM pg_temp.lumis_rest_triggers(ledger, false);
            INSERT INTO lumis.take_over_findings
            SELECT 'redemption cancelled', id::text, 'taken back by the old system'
            FROM unnest(refunded) id;
        END IF;
        DROP TABLE IF EXISTS lumis_archive.entry_kinds, lumis_archive.written_purchases,
            lumis_archive.take_over;
        IF NOT EXISTS (SELECT FROM pg_class c   -- a later migration may have put something aside too
            WHERE c.relnamespace = to_regnamespace('lumis_archive')) THEN
            DROP SCHEMA lumis_archive;
        END IF;
        RAISE NOTICE 'restored what an earlier migrate down had put aside';
    END IF;

    -- The operator's view of slow queries, where the server has it loaded and we may.
    IF current_setting('is_superuser')::boolean
       AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') THEN
        IF current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' THEN
            CREATE EXTENSION pg_stat_statements SCHEMA public;
            created := created || 'pg_stat_statements'::text;
        END IF;
    END IF;

    IF is_legacy THEN
        -- Sequences of the old system that had fallen behind would give ids that are taken.
        EXECUTE format('SELECT max(id) FROM %s', ledger) INTO top;
        PERFORM lumis.pass_ledger_ids(top);
        item := pg_temp.lumis_sequence_of('rewards.redemption_offers', 'legacy_id');
        IF item IS NOT NULL THEN
            SELECT max(o.legacy_id) INTO top FROM rewards.redemption_offers o;
            kept := kept || jsonb_build_object('offers_top', top);
            EXECUTE format('SELECT jsonb_build_object(''offer_ids'', jsonb_build_object(''last_value'', '
                'last_value, ''is_called'', is_called)) FROM %s', item) INTO part;
            kept := kept || part.jsonb_build_object;
            EXECUTE format('SELECT setval(%L, $1) WHERE $1 > (SELECT last_value FROM %s)', item, item)
                USING top;
        END IF;
        UPDATE lumis.take_over t SET switched_at = switched,
            remembered = t.remembered || kept || jsonb_build_object('made', created);
        RAISE INFO 'switched over; the old system waited % ms',
            round(extract(epoch FROM clock_timestamp() - switched) * 1000);
    ELSE
        INSERT INTO lumis.migrations (name, created) VALUES (this_migration, created);
    END IF;
END
$migration$;

-- Legacy only: entries by which the ledger sums to the balances. Both move together since the
-- switch, so their difference is the same at any moment, and nobody has to wait.
DO $openings$
DECLARE
    openings  bigint;
    points    numeric;
    inactive  bigint;
BEGIN
    IF pg_temp.lumis_layout() <> 'unfinished' THEN
        RETURN;
    END IF;
    SET LOCAL search_path = pg_catalog, pg_temp;
    RAISE INFO 'summing the ledger, beside the running system';
    SET LOCAL work_mem = '32MB';
    CREATE TEMP TABLE opening ON COMMIT DROP AS    -- not an INSERT: those are not done in parallel
        SELECT user_id, coalesce(b.balance, 0) - coalesce(e.points, 0) AS quantity
        FROM lumis.balances b FULL JOIN (
            SELECT e.user_id, sum(e.quantity) AS points FROM public.fact_accumulations e
            WHERE e.dtype = 'points' AND e.user_id IS NOT NULL GROUP BY e.user_id
        ) e USING (user_id)
        WHERE coalesce(b.balance, 0) <> coalesce(e.points, 0);
    SELECT count(*), sum(o.quantity) INTO openings, points FROM opening o;
    PERFORM set_config('lumis.posting', 'balance', true);  -- the balances are right
    INSERT INTO public.fact_accumulations (user_id, accum_type, dtype, quantity, date, kind)
    SELECT o.user_id, 'opening', 'points', o.quantity, clock_timestamp(), 'opening'
    FROM opening o ORDER BY o.user_id;
    PERFORM set_config('lumis.posting', '', true);
    SELECT count(*) INTO inactive FROM rewards.redemption_offers o WHERE NOT o.is_active;
    UPDATE lumis.take_over t SET remembered = t.remembered || jsonb_build_object('openings_top',
        (SELECT max(e.id) FROM public.fact_accumulations e));
    INSERT INTO lumis.migrations (name, created)
    SELECT '2025_10_17_redemption_system',
        ARRAY(SELECT jsonb_array_elements_text(t.remembered->'made')) FROM lumis.take_over t;
    RAISE NOTICE 'taken over from schema %', (SELECT t.home FROM lumis.take_over t);
    RAISE NOTICE '% members got an opening entry, % points in all: SELECT * FROM '
        'public.fact_accumulations WHERE kind = ''opening''', openings, coalesce(points, 0);
    RAISE NOTICE '% offers are inactive: SELECT * FROM lumis.take_over_findings', inactive;
END
$openings$;

-- For whoever goes on in this session.
DO $unlock$
BEGIN
    PERFORM pg_advisory_unlock(hashtext('lumis.migrations'));
    RESET statement_timeout;
    RESET lock_timeout;
    RESET client_connection_check_interval;
END
$unlock$;
