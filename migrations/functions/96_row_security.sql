-- Readers see the tenants that monitoring.reader_tenant gives them, and what belongs to no tenant (facts
-- of a whole server). All other roles of OneVault see everything. Whoever is neither, sees nothing.

CREATE OR REPLACE FUNCTION monitoring.reader_tenants() RETURNS bytea[]
    LANGUAGE sql STABLE
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
    -- By whom the session was opened: no SET ROLE and no setting of the session changes the answer.
    SELECT coalesce(array_agg(t.tenant_hk), '{}')
      FROM monitoring.reader_tenant t
      JOIN pg_catalog.pg_roles r ON r.rolname = t.role_name
     WHERE pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')
    $$;
COMMENT ON FUNCTION monitoring.reader_tenants() IS
    'The tenants whose rows this session may read as onevault_reader: those of its login role and of the roles that it is a member of.';

CREATE OR REPLACE FUNCTION monitoring.check_reader_tenant() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = NEW.role_name) THEN
        RAISE EXCEPTION 'role_name "%" is no role of this server', NEW.role_name
            USING ERRCODE = '22023', HINT = format('Create it first: CREATE ROLE %I LOGIN; GRANT onevault_reader TO %I', NEW.role_name, NEW.role_name);
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_reader_tenant() IS 'Trigger of reader_tenant: refuses a role that does not exist.';
CREATE OR REPLACE TRIGGER t10_check_reader_tenant BEFORE INSERT OR UPDATE ON monitoring.reader_tenant
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_reader_tenant();

CREATE OR REPLACE FUNCTION monitoring.tenant_condition(p_table regclass) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_name        text := (SELECT relname FROM pg_class WHERE oid = p_table);
    v_partitioned boolean := (SELECT relkind = 'p' FROM pg_class WHERE oid = p_table);
    v_own         boolean := EXISTS (SELECT FROM pg_attribute WHERE attrelid = p_table AND attname = 'tenant_hk' AND NOT attisdropped);
    v_conditions  text[] := '{}';
    v_key         record;
BEGIN
    -- A row is seen when its own tenant may be seen and, except for hubs that say their tenant themselves,
    -- when every row of tenants that it refers to is seen: the policy of that table answers it.
    IF v_own THEN
        v_conditions := ARRAY['(tenant_hk IS NULL OR tenant_hk = ANY ((SELECT monitoring.reader_tenants())::bytea[]))'];
    END IF;
    IF NOT (v_own AND v_name LIKE '%\_h') THEN
        FOR v_key IN
            SELECT k.confrelid, f.relname AS referred, fa.attname AS referred_column, a.attname AS column_name, a.attnotnull
              FROM pg_constraint k
              JOIN pg_class f ON f.oid = k.confrelid AND f.relnamespace = 'monitoring'::regnamespace
              JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
              JOIN pg_attribute fa ON fa.attrelid = k.confrelid AND fa.attnum = k.confkey[1]
             WHERE k.conrelid = p_table AND k.contype = 'f' AND cardinality(k.conkey) = 1 AND k.conparentid = 0 AND k.confrelid <> p_table
             ORDER BY a.attnum
        LOOP
            CONTINUE WHEN monitoring.tenant_condition(v_key.confrelid) IS NULL;
            v_conditions := v_conditions || format(
                -- The hub of a measurement is small and its rows are many: the keys that may be seen are read once.
                CASE WHEN v_partitioned AND v_key.attnotnull THEN '%4$I IN (SELECT referred.%2$I FROM monitoring.%1$I AS referred)'
                     WHEN v_key.attnotnull THEN 'EXISTS (SELECT FROM monitoring.%1$I AS referred WHERE referred.%2$I = %3$I.%4$I)'
                     ELSE '(%4$I IS NULL OR EXISTS (SELECT FROM monitoring.%1$I AS referred WHERE referred.%2$I = %3$I.%4$I))' END,
                v_key.referred, v_key.referred_column, v_name, v_key.column_name);
        END LOOP;
    END IF;
    RETURN nullif(array_to_string(v_conditions, ' AND '), '');
END
$$;
COMMENT ON FUNCTION monitoring.tenant_condition(regclass) IS
    'The condition under which a reader sees a row of a table, from its column tenant_hk and its foreign keys; NULL: the table knows no tenants.';

CREATE OR REPLACE FUNCTION monitoring.put_policy(p_table regclass, p_policy name, p_command text, p_roles text, p_condition text) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Its text is kept as its comment: what stands already needs no lock on the table.
    IF EXISTS (SELECT FROM pg_policy p
                WHERE p.polrelid = p_table AND p.polname = p_policy AND obj_description(p.oid, 'pg_policy') = p_condition
                  AND ARRAY(SELECT r::regrole::text FROM unnest(p.polroles) AS r ORDER BY 1)
                      = ARRAY(SELECT btrim(r) FROM unnest(string_to_array(p_roles, ',')) AS r ORDER BY 1)) THEN
        RETURN;
    END IF;
    EXECUTE format('DROP POLICY IF EXISTS %I ON %s', p_policy, p_table);
    EXECUTE format('CREATE POLICY %I ON %s FOR %s TO %s USING (%s)', p_policy, p_table, p_command, p_roles, p_condition);
    EXECUTE format('COMMENT ON POLICY %I ON %s IS %L', p_policy, p_table, p_condition);
END
$$;
COMMENT ON FUNCTION monitoring.put_policy(regclass, name, text, text, text) IS
    'Gives a table a policy unless it has exactly that one.';

CREATE OR REPLACE FUNCTION monitoring.enforce_row_security() RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_readers text := monitoring.existing_roles('onevault_reader');
    v_others  text := monitoring.existing_roles('onevault_worker', 'onevault_operator', 'pg_read_all_data');
    v_table   record;
BEGIN
    IF v_readers IS NULL THEN
        RETURN;  -- nobody but the owner has any right here
    END IF;
    FOR v_table IN
        SELECT c.oid::regclass AS id, monitoring.tenant_condition(c.oid) AS condition, c.relrowsecurity
          FROM pg_class c
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
         ORDER BY c.relname
    LOOP
        CONTINUE WHEN v_table.condition IS NULL;
        PERFORM monitoring.put_policy(v_table.id, 'readers', 'SELECT', v_readers, v_table.condition);
        PERFORM monitoring.put_policy(v_table.id, 'everybody_else', 'ALL', v_others, 'true');
        IF NOT v_table.relrowsecurity THEN
            EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', v_table.id);
        END IF;
    END LOOP;

    -- A partition has no policy of its own: should anybody be granted it, nothing of it is seen past its table.
    FOR v_table IN
        SELECT c.oid::regclass AS id
          FROM pg_class c
          JOIN pg_inherits i ON i.inhrelid = c.oid
          JOIN pg_class parent ON parent.oid = i.inhparent
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'r' AND NOT c.relrowsecurity AND parent.relrowsecurity
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', v_table.id);
    END LOOP;

    -- A view reads with the rights, and so with the tenants, of whoever asks it.
    FOR v_table IN
        SELECT c.oid::regclass AS id
          FROM pg_class c
         WHERE c.relnamespace = 'monitoring'::regnamespace AND c.relkind = 'v'
           AND NOT coalesce('security_invoker=true' = ANY (c.reloptions), false)
    LOOP
        EXECUTE format('ALTER VIEW %s SET (security_invoker = true)', v_table.id);
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.enforce_row_security() IS
    'Gives every table that knows tenants its policies, and makes every view read with the rights of whoever asks it.';
