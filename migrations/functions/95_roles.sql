-- Who may do what. Six roles that nobody logs in as; people and programs get roles of their own and are
-- made members. All rights are given here and nowhere else: run after every change of tables or
-- functions, monitoring.grant_privileges() takes back whatever the roles hold in the schema and gives
-- them exactly this.
--   onevault_owner      owns the objects; migrates, and runs what is SECURITY DEFINER
--   onevault_worker     the worker: reads all, appends, closes rows; a member of onevault_collector
--   onevault_operator   people on call in psql: reads all, and the commands below
--   onevault_reader     reads the tenants that it is given, and what belongs to no tenant; no secrets
--   onevault_collector  measures a server (pg_monitor); nothing in the vault
--   onevault_sql        what raw SQL conditions run as: reads the views of monitoring_sql (51_raw_sql.sql)

CREATE OR REPLACE FUNCTION monitoring.operator_commands() RETURNS name[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT ARRAY['acknowledge_alert', 'resolve_alert', 'acknowledge_alert_for', 'unacknowledge_alert',
                 'snooze_alert', 'escalate_alert', 'mark_alert_false_positive', 'send_alert_notifications', 'evaluate_alert_conditions',
                 'create_incident_from_alerts', 'add_alerts_to_incident', 'remove_alerts_from_incident', 'incident_note',
                 'assign_incident', 'investigate_incident', 'resolve_incident', 'close_incident', 'reopen_incident',
                 'add_target', 'change_target', 'remove_target',
                 'save_metric', 'apply_metric', 'remove_metric',
                 'investigate_security_event', 'resolve_security_event', 'mark_security_event_false_positive',
                 'create_incident_from_security_events', 'add_security_events_to_incident',
                 'add_silence', 'extend_silence', 'end_silence', 'add_maintenance', 'remove_maintenance',
                 'put_source', 'remove_source', 'set_group_members',
                 'record_evidence_export', 'record_receipt']::name[]
    $$;
COMMENT ON FUNCTION monitoring.operator_commands() IS
    'The functions that change something and that onevault_operator may call. Each runs with the owner''s rights, because operators may not write the tables themselves.';

CREATE OR REPLACE FUNCTION monitoring.owner_only_functions() RETURNS name[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT ARRAY['grant_privileges', 'grant_outside', 'give_to_owner', 'enforce_discipline', 'enforce_row_security', 'put_policy', 'put_trigger',
                 'grant_sandbox', 'allow_raw_sql']::name[]
    $$;
COMMENT ON FUNCTION monitoring.owner_only_functions() IS
    'The functions that only the owner may call: what `onevault migrate up` does, and the switch of raw SQL conditions.';

CREATE OR REPLACE FUNCTION monitoring.worker_writes() RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT jsonb '{
        "outbox": "INSERT, UPDATE (relayed_at, outcome)",
        "inbound_receipt": "INSERT, UPDATE, DELETE",
        "health_query_run": "INSERT, UPDATE",
        "sql_value": "INSERT, UPDATE",
        "alert_label_state": "INSERT, UPDATE, DELETE",
        "statement_series": "INSERT, UPDATE, DELETE",
        "statement_baseline": "INSERT, UPDATE, DELETE",
        "table_baseline": "INSERT, UPDATE, DELETE",
        "plan_asked": "INSERT, UPDATE, DELETE",
        "security_seen": "INSERT, UPDATE, DELETE",
        "security_detection": "INSERT",
        "security_login": "INSERT, UPDATE, DELETE",
        "security_log_position": "INSERT, UPDATE",
        "receipt_waiting": "INSERT",
        "notification_window": "INSERT"
    }'
    $$;
COMMENT ON FUNCTION monitoring.worker_writes() IS
    'What onevault_worker may do with tables that are neither hub, link nor satellite: {table: privileges}. It reads all of them.';

CREATE OR REPLACE FUNCTION monitoring.tables_of_nobody() RETURNS name[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT ARRAY['condition_identifier', 'health_query', 'health_metric', 'health_query_run', 'security_check', 'security_detection', 'inhibition_h', 'inhibition_s']::name[] $$;
COMMENT ON FUNCTION monitoring.tables_of_nobody() IS
    'The tables without tenants that readers see whole; every other table without tenants they do not see.';

CREATE OR REPLACE FUNCTION monitoring.existing_roles(VARIADIC p_roles text[]) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT string_agg(quote_ident(r.rolname), ', ' ORDER BY r.rolname) FROM pg_roles r WHERE r.rolname = ANY (p_roles)
    $$;
COMMENT ON FUNCTION monitoring.existing_roles(text[]) IS
    'Those of the given roles that the server has, as a list for GRANT; NULL: none of them.';

-- ---------------------------------------------------------------- outside the schema

CREATE OR REPLACE FUNCTION monitoring.grant_outside() RETURNS SETOF text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_writers text := monitoring.existing_roles('onevault_owner', 'onevault_worker', 'onevault_operator');
    v_all     text := monitoring.existing_roles('onevault_owner', 'onevault_worker', 'onevault_operator', 'onevault_reader');
    v_owner   text := monitoring.existing_roles('onevault_owner');
    v_grant   text;
BEGIN
    FOR v_grant IN
        SELECT format('GRANT USAGE ON SCHEMA %I TO %s', s, v_all) FROM unnest(ARRAY['util', 'public']) AS s WHERE v_all IS NOT NULL
        UNION ALL
        SELECT 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA util TO ' || v_all WHERE v_all IS NOT NULL
        UNION ALL
        SELECT format('GRANT USAGE ON SCHEMA %I TO %s', s, v_writers) FROM unnest(ARRAY['auth', 'backup_mgmt']) AS s WHERE v_writers IS NOT NULL
        UNION ALL
        SELECT format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %s', s, v_writers) FROM unnest(ARRAY['auth', 'backup_mgmt']) AS s WHERE v_writers IS NOT NULL
        UNION ALL
        SELECT 'GRANT REFERENCES ON auth.tenant_h TO ' || v_owner WHERE v_owner IS NOT NULL
        UNION ALL
        -- Every role may ask which version the vault has; a member of the owner may change it.
        SELECT format('GRANT SELECT ON %s TO %s', to_regclass(t), v_all)
          FROM unnest(ARRAY['public.onevault_migrations', 'public.onevault_functions']) AS t WHERE to_regclass(t) IS NOT NULL AND v_all IS NOT NULL
        UNION ALL
        SELECT format('GRANT INSERT, UPDATE, DELETE ON %s TO %s', to_regclass(t), v_owner)
          FROM unnest(ARRAY['public.onevault_migrations', 'public.onevault_functions']) AS t WHERE to_regclass(t) IS NOT NULL AND v_owner IS NOT NULL
    LOOP
        BEGIN
            EXECUTE v_grant;
        EXCEPTION WHEN insufficient_privilege THEN
            RETURN NEXT v_grant;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.grant_outside() IS
    'Gives the roles their rights on the schemas of Phase 1 and on the marks of what was applied; returns the statements that the present role may not run and their owner must.';

CREATE OR REPLACE FUNCTION monitoring.give_to_owner() RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_owner  oid := to_regrole('onevault_owner');
    v_object record;
BEGIN
    -- What is SECURITY DEFINER runs as the owner: as a role that can do no more than the vault needs, and
    -- not as the superuser who happened to migrate. Without the right to give it away it stays as it is.
    IF v_owner IS NULL OR NOT pg_has_role(current_user, v_owner, 'MEMBER')
       OR NOT has_schema_privilege(v_owner, 'util', 'USAGE')
       OR NOT has_schema_privilege(v_owner, 'auth', 'USAGE')
       OR NOT has_schema_privilege(v_owner, 'backup_mgmt', 'USAGE')
       OR EXISTS (SELECT FROM pg_class c
                   WHERE c.relnamespace IN (to_regnamespace('auth'), to_regnamespace('backup_mgmt')) AND c.relkind IN ('r', 'p')
                     AND NOT has_table_privilege(v_owner, c.oid, 'SELECT')) THEN
        RETURN false;
    END IF;
    FOR v_object IN
        SELECT 1 AS rank, format('ALTER SCHEMA %I OWNER TO onevault_owner', nspname) AS statement
          FROM pg_namespace WHERE nspname = 'monitoring' AND nspowner <> v_owner
        UNION ALL
        SELECT 2, format('ALTER %s monitoring.%I OWNER TO onevault_owner',
                         CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname)
          FROM pg_class c
         WHERE relnamespace = 'monitoring'::regnamespace AND relowner <> v_owner AND relkind IN ('r', 'p', 'v', 'm', 'S')
           -- A sequence of an identity column goes with its table.
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'i' AND c.relkind = 'S')
        UNION ALL
        SELECT 3, format('ALTER ROUTINE %s OWNER TO onevault_owner', oid::regprocedure)
          FROM pg_proc WHERE pronamespace = 'monitoring'::regnamespace AND proowner <> v_owner
        ORDER BY rank
    LOOP
        EXECUTE v_object.statement;
    END LOOP;
    RETURN true;
EXCEPTION WHEN insufficient_privilege THEN
    RETURN false;
END
$$;
COMMENT ON FUNCTION monitoring.give_to_owner() IS
    'Makes onevault_owner the owner of the schema and all in it, where the present role may; false: it may not, and they stay with whom they are.';

-- ---------------------------------------------------------------- inside it

CREATE OR REPLACE FUNCTION monitoring.grant_privileges() RETURNS SETOF text
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_all      text := monitoring.existing_roles('onevault_worker', 'onevault_operator', 'onevault_reader', 'onevault_collector');
    v_users    text := monitoring.existing_roles('onevault_worker', 'onevault_operator', 'onevault_reader');
    v_worker   text := monitoring.existing_roles('onevault_worker');
    v_operator text := monitoring.existing_roles('onevault_operator');
    v_reader   text := monitoring.existing_roles('onevault_reader');
    v_table    record;
    v_function record;
BEGIN
    RETURN QUERY SELECT * FROM monitoring.grant_outside();
    PERFORM monitoring.give_to_owner();
    RETURN QUERY SELECT * FROM monitoring.grant_sandbox();
    REVOKE ALL ON ALL ROUTINES IN SCHEMA monitoring FROM PUBLIC;
    -- With the owner's rights only what is the owner's is called, and no temporary object of the caller.
    FOR v_function IN
        SELECT p.oid::regprocedure AS sql_name FROM pg_proc p
         WHERE p.pronamespace = 'monitoring'::regnamespace AND p.prosecdef
           AND NOT coalesce('search_path=pg_catalog, monitoring, pg_temp' = ANY (p.proconfig), false)
    LOOP
        EXECUTE format('ALTER ROUTINE %s SET search_path = pg_catalog, monitoring, pg_temp', v_function.sql_name);
    END LOOP;
    IF v_all IS NULL THEN
        RETURN;
    END IF;
    EXECUTE 'REVOKE ALL ON SCHEMA monitoring FROM ' || v_all;
    EXECUTE 'REVOKE ALL ON ALL TABLES IN SCHEMA monitoring FROM ' || v_all;
    EXECUTE 'REVOKE ALL ON ALL SEQUENCES IN SCHEMA monitoring FROM ' || v_all;
    EXECUTE 'REVOKE ALL ON ALL ROUTINES IN SCHEMA monitoring FROM ' || v_all;
    IF v_users IS NOT NULL THEN
        EXECUTE 'GRANT USAGE ON SCHEMA monitoring TO ' || v_users;
    END IF;

    -- Of partitions none has any right of its own: whoever asks the table is asked for its tenants.
    FOR v_table IN
        SELECT c.relname AS name, format('monitoring.%I', c.relname) AS sql_name, c.relkind,
               right(c.relname, 2) IN ('_h', '_l') AS frozen, right(c.relname, 2) = '_s' AS history,
               monitoring.worker_writes() ->> c.relname AS worker_writes,
               -- What knows no tenants is shown to readers only if it is known to be nobody's.
               CASE WHEN c.relkind = 'v' THEN true ELSE monitoring.tenant_condition(c.oid) IS NOT NULL
                                                        AND c.relname NOT IN ('outbox', 'reader_tenant') END
               OR c.relname = ANY (monitoring.tables_of_nobody()) AS for_readers
          FROM pg_class c
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
         ORDER BY c.relname
    LOOP
        IF v_worker IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON %s TO %s', v_table.sql_name, v_worker);
            IF v_table.name IN ('monitor_config_h', 'monitor_config_s', 'target_h', 'target_s', 'alert_source_h', 'alert_source_s',
                                'contact_h', 'contact_s', 'recipient_group_h', 'recipient_group_contact_l', 'recipient_group_contact_eff_s') THEN
                NULL;  -- what is kept how long, and what is watched, is for people to say: a worker that was taken over must not shorten it
            ELSIF v_table.frozen THEN
                -- To lock a row one must be allowed to update some column; the trigger refuses to do it.
                EXECUTE format('GRANT INSERT, UPDATE (record_source) ON %s TO %s', v_table.sql_name, v_worker);
            ELSIF v_table.history AND v_table.relkind <> 'v' THEN
                EXECUTE format('GRANT INSERT, UPDATE (load_end_date) ON %s TO %s', v_table.sql_name, v_worker);
            ELSIF v_table.worker_writes IS NOT NULL THEN
                EXECUTE format('GRANT %s ON %s TO %s', v_table.worker_writes, v_table.sql_name, v_worker);
            END IF;
        END IF;
        IF v_operator IS NOT NULL THEN
            EXECUTE format('GRANT SELECT ON %s TO %s', v_table.sql_name, v_operator);
            -- What people configure by INSERT; its triggers check it.
            IF v_table.name IN ('alert_definition_h', 'alert_definition_s', 'notification_config_h', 'notification_config_s',
                                'monitor_config_h', 'monitor_config_s',
                                'contact_h', 'contact_s', 'recipient_group_h', 'recipient_group_contact_l', 'recipient_group_contact_eff_s') THEN
                EXECUTE format('GRANT INSERT ON %s TO %s', v_table.sql_name, v_operator);
            END IF;
        END IF;
        IF v_reader IS NOT NULL THEN
            IF v_table.name IN ('notification_config_s', 'contact_s') THEN
                -- Without `configuration`, where an address can hold its own key, and without where people are reached.
                EXECUTE format('GRANT SELECT (%s) ON %s TO %s',
                               (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                                 WHERE attrelid = v_table.sql_name::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL (ARRAY['configuration', 'email_address', 'phone_number', 'slack_user_id', 'pagerduty_user_id'])),
                               v_table.sql_name, v_reader);
            ELSIF v_table.for_readers THEN
                EXECUTE format('GRANT SELECT ON %s TO %s', v_table.sql_name, v_reader);
            END IF;
        END IF;
    END LOOP;

    FOR v_function IN
        SELECT p.oid::regprocedure AS sql_name, p.proname AS name,
               -- It runs with the caller's rights and cannot write: as harmless as the tables that it reads.
               p.provolatile <> 'v' AND NOT p.prosecdef AS only_reads
          FROM pg_proc p
         WHERE p.pronamespace = 'monitoring'::regnamespace AND p.prorettype <> 'trigger'::regtype
           AND p.proname <> ALL (monitoring.owner_only_functions())
    LOOP
        IF v_worker IS NOT NULL THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s', v_function.sql_name, v_worker);
        END IF;
        IF v_operator IS NOT NULL AND (v_function.only_reads OR v_function.name = ANY (monitoring.operator_commands())) THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s', v_function.sql_name, v_operator);
        END IF;
        IF v_reader IS NOT NULL AND v_function.name = 'record_evidence_export' THEN
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s', v_function.sql_name, v_reader);
        END IF;
        IF v_reader IS NOT NULL AND (v_function.only_reads OR v_function.name = 'reader_tenants') THEN
            -- The views call them; whoever may read all data of the server may read the views, too.
            EXECUTE format('GRANT EXECUTE ON ROUTINE %s TO %s, pg_read_all_data', v_function.sql_name, v_reader);
        END IF;
    END LOOP;
    PERFORM monitoring.enforce_row_security();
END
$$;
COMMENT ON FUNCTION monitoring.grant_privileges() IS
    'Gives the roles onevault_... exactly their rights, those that exist; returns the statements that somebody else must run. Rights that were given to these roles by hand are taken back.';
