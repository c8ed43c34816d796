-- The redemption system: catalogue, redemptions, merchants, audit log (schema rewards),
-- everything else of ours (schema lumis) and, on an empty database, the points ledger.
--
--   psql "$DATABASE_URL" -f migrations/2025_10_17_redemption_system.sql
--   npx lumis migrate up                                  (the same result, the same record)
--
-- One statement does it all: interrupted means not applied, and a second run changes nothing.
-- Lines that begin with a backslash are for psql; our runner skips them.
\set ON_ERROR_STOP on

DO $migration$
DECLARE
    this_migration constant text := '2025_10_17_redemption_system';
    created  text[] := '{}';
    missing  text[] := '{}';
    obstacle    text;
    item     text;
    part     record;
    top      bigint;
BEGIN
    SET LOCAL lock_timeout = '5s';
    SET LOCAL search_path = pg_catalog, pg_temp;
    -- two operators at once: the second waits here, then finds the work done
    PERFORM pg_advisory_xact_lock(hashtext('lumis.migrations'));

    -- asked of the catalogue's rows: to_regclass() may still answer from before the wait
    IF EXISTS (SELECT FROM pg_tables t WHERE (t.schemaname, t.tablename) = ('lumis', 'migrations'))
    THEN
        IF EXISTS (SELECT FROM lumis.migrations m WHERE m.name = this_migration) THEN
            RAISE NOTICE 'migration % is already applied; nothing to do', this_migration;
            RETURN;
        END IF;
    END IF;

    ------------------------------------------------------------------------------------------
    -- What could stand in the way is looked for first; nothing has changed when one is raised.
    ------------------------------------------------------------------------------------------
    IF current_setting('server_version_num')::int < 150000 THEN
        RAISE EXCEPTION 'Lumis needs PostgreSQL 15 or newer; this server is %',
            current_setting('server_version') USING ERRCODE = 'LM010';
    END IF;

    IF getdatabaseencoding() <> 'UTF8' THEN
        RAISE EXCEPTION 'this database has the encoding %; names and reasons need UTF8',
            getdatabaseencoding() USING ERRCODE = 'LM010',
            HINT = 'Nothing was changed. CREATE DATABASE ... TEMPLATE template0 ENCODING ''UTF8'';';
    END IF;

    SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY 1) INTO obstacle
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND ((n.nspname = 'rewards')
        OR (n.nspname = 'public' AND c.relname IN ('dim_redemptions', 'fact_redemptions',
              'fact_accumulations', 'fact_balance_points', 'fact_redemptions_legacy',
              'redemption_offers', 'user_redemptions', 'merchants', 'redemption_audit_log')));
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'this database already holds a points system: %', obstacle
            USING ERRCODE = 'LM010',
                  DETAIL = 'This migration builds the redemption system on an empty database.',
                  HINT = 'Nothing was changed. Use an empty database; a legacy layout is not '
                         'taken over by this version.';
    END IF;
    SELECT string_agg(format('%I.%I', n.nspname, c.relname), ', ' ORDER BY 1) INTO obstacle
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = 'lumis';
    IF obstacle IS NOT NULL THEN
        RAISE EXCEPTION 'schema lumis is in use by something else: %', obstacle
            USING ERRCODE = 'LM010', HINT = 'Nothing was changed. Use another database.';
    END IF;

    FOREACH item IN ARRAY ARRAY['rewards', 'lumis'] LOOP
        IF to_regnamespace(item) IS NULL THEN
            created := created || item;
            IF NOT has_database_privilege(current_database(), 'CREATE') THEN
                missing := missing
                    || format('GRANT CREATE ON DATABASE %I TO %I;', current_database(), current_user);
            END IF;
        ELSIF NOT has_schema_privilege(item, 'CREATE, USAGE') THEN
            missing := missing || format('GRANT ALL ON SCHEMA %I TO %I;', item, current_user);
        END IF;
    END LOOP;
    IF to_regnamespace('public') IS NULL THEN
        RAISE EXCEPTION 'schema public does not exist; the points ledger lives there'
            USING ERRCODE = 'LM010', HINT = 'CREATE SCHEMA public;';
    ELSIF NOT has_schema_privilege('public', 'CREATE') THEN
        missing := missing || format('GRANT ALL ON SCHEMA public TO %I;', current_user);
    END IF;
    IF missing <> '{}' THEN
        RAISE EXCEPTION 'role % may not create what the redemption system needs', current_user
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Nothing was changed. As the owner of the database: '
                         || (SELECT string_agg(DISTINCT m, ' ') FROM unnest(missing) m);
    END IF;

    FOREACH item IN ARRAY created LOOP
        EXECUTE format('CREATE SCHEMA %I', item);
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
        updated_at                timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT offers_active_has_price CHECK (NOT is_active OR lumis_cost > 0),
        CONSTRAINT offers_window_opens_before_it_ends CHECK (NOT is_active OR valid_from < valid_to),
        CONSTRAINT offers_stock_not_negative CHECK (stock_quantity >= 0),
        CONSTRAINT offers_held_not_negative CHECK (stock_held >= 0),
        CONSTRAINT offers_limit_positive CHECK (max_redemptions_per_user > 0),
        CONSTRAINT offers_ttl_positive CHECK (code_ttl_minutes > 0),
        CONSTRAINT offers_on_expiry_known CHECK (on_expiry IN ('refund', 'forfeit'))
    ) WITH (fillfactor = 50);                      -- a hot offer's stock changes in place
    -- no now() in a predicate: PostgreSQL wants it immutable, so the date is in the key
    CREATE INDEX idx_offers_active_valid ON rewards.redemption_offers
        (created_at DESC, offer_id DESC, valid_to) WHERE is_active;
    CREATE INDEX idx_offers_category ON rewards.redemption_offers (offer_category) WHERE is_active;
    CREATE INDEX idx_offers_cost ON rewards.redemption_offers (lumis_cost, offer_id) WHERE is_active;
    CREATE INDEX idx_offers_merchant ON rewards.redemption_offers (merchant_id);

    CREATE TABLE rewards.user_redemptions (
        redemption_id             uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_id                   integer NOT NULL,    -- no foreign key: members live elsewhere
        offer_id                  uuid NOT NULL REFERENCES rewards.redemption_offers,
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
        CONSTRAINT ledger_kind_known CHECK (kind IN ('spend', 'refund', 'grant', 'adjustment')),
        CONSTRAINT ledger_redemption_has_kind
            CHECK ((redemption_id IS NOT NULL) = (kind IN ('spend', 'refund')) IS NOT FALSE),
        CONSTRAINT ledger_spend_is_negative CHECK (kind <> 'spend' OR quantity < 0),
        CONSTRAINT ledger_refund_is_positive CHECK (kind <> 'refund' OR quantity > 0)
    );
    CREATE INDEX fact_accumulations_user ON public.fact_accumulations (user_id, id DESC);
    -- one spend and at most one refund for a redemption, whoever writes
    CREATE UNIQUE INDEX fact_accumulations_redemption_kind ON public.fact_accumulations
        (redemption_id, kind) WHERE redemption_id IS NOT NULL;

    ------------------------------------------------------------------------------------------
    -- lumis: what the programme's four tables have no place for
    ------------------------------------------------------------------------------------------
    CREATE TABLE lumis.migrations (
        name        text PRIMARY KEY,
        applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
        applied_by  text NOT NULL DEFAULT session_user,
        created     text[] NOT NULL DEFAULT '{}'   -- schemas and extensions that down takes back
    );
    CREATE TABLE lumis.balances (                  -- the ledger's trigger is its only writer
        user_id     integer PRIMARY KEY,
        balance     numeric NOT NULL,
        updated_at  timestamptz NOT NULL DEFAULT clock_timestamp()
    ) WITH (fillfactor = 70);
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
    BEGIN
        INSERT INTO lumis.balances AS b (user_id, balance)
        SELECT e.user_id, sum(e.quantity) FROM entries e WHERE e.dtype = 'points'
        GROUP BY e.user_id ORDER BY e.user_id
        ON CONFLICT (user_id) DO UPDATE
            SET balance = b.balance + excluded.balance, updated_at = clock_timestamp();
        IF EXISTS (SELECT FROM entries e JOIN lumis.balances b USING (user_id)
                   WHERE e.kind = 'spend' AND b.balance < 0) THEN
            RAISE EXCEPTION 'a member cannot spend below zero' USING ERRCODE = 'LM003';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER trg_ledger_balances AFTER INSERT ON public.fact_accumulations
        REFERENCING NEW TABLE AS entries
        FOR EACH STATEMENT EXECUTE FUNCTION lumis.apply_ledger_entries();

    CREATE FUNCTION lumis.keep_ledger_immutable() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
        RAISE EXCEPTION 'ledger entries are immutable' USING ERRCODE = 'LM002',
            HINT = 'Insert an entry with the opposite quantity instead.';
    END $$;
    CREATE TRIGGER trg_ledger_immutable
        BEFORE UPDATE OR DELETE OR TRUNCATE ON public.fact_accumulations
        FOR EACH STATEMENT EXECUTE FUNCTION lumis.keep_ledger_immutable();

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
                (user_id, accum_type, dtype, quantity, redemption_id, kind)
            SELECT c.user_id, 'redemption', 'points', -spend.quantity, c.redemption_id, 'refund'
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
        lumis.keep_ledger_immutable(), rewards.audit_redemption_change(),
        rewards.update_merchant_stats() FROM PUBLIC;

    ------------------------------------------------------------------------------------------
    -- What an earlier `migrate down` put aside comes back whole.
    ------------------------------------------------------------------------------------------
    IF to_regnamespace('lumis_archive') IS NOT NULL THEN
        -- in the order of the foreign keys; triggers rest, since their work is in the rows
        FOR part IN
            SELECT t.ord, split_part(t.name, '.', 1) AS home, split_part(t.name, '.', 2) AS tab
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
            WHERE a.attrelid = to_regclass('lumis_archive.' || part.tab) AND a.attnum > 0
              AND NOT a.attisdropped;
            EXECUTE format('ALTER TABLE %I.%I DISABLE TRIGGER USER', part.home, part.tab);
            EXECUTE format('DELETE FROM %I.%I', part.home, part.tab);
            EXECUTE format('INSERT INTO %1$I.%2$I (%3$s) OVERRIDING SYSTEM VALUE '
                'SELECT %3$s FROM lumis_archive.%2$I', part.home, part.tab, item);
            EXECUTE format('ALTER TABLE %I.%I ENABLE TRIGGER USER', part.home, part.tab);
            FOR item IN
                SELECT a.attname FROM pg_attribute a
                WHERE a.attrelid = to_regclass(format('%I.%I', part.home, part.tab))
                  AND a.attnum > 0 AND NOT a.attisdropped
                  AND pg_get_serial_sequence(format('%I.%I', part.home, part.tab), a.attname)
                      IS NOT NULL
            LOOP
                EXECUTE format('SELECT max(%I) FROM %I.%I', item, part.home, part.tab) INTO top;
                PERFORM setval(
                    pg_get_serial_sequence(format('%I.%I', part.home, part.tab), item),
                    coalesce(top, 1), top IS NOT NULL);
            END LOOP;
            EXECUTE format('DROP TABLE lumis_archive.%I', part.tab);
        END LOOP;
        DROP SCHEMA lumis_archive;
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

    INSERT INTO lumis.migrations (name, created) VALUES (this_migration, created);
END
$migration$;
