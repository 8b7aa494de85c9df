-- +goose Up
-- Which tenants a reader may see. The roles themselves belong to the whole server, not to this database:
-- `onevault migrate up` makes them where it may, and monitoring.grant_privileges() gives them their rights.

CREATE TABLE monitoring.reader_tenant (
    role_name  name NOT NULL,
    tenant_hk  bytea NOT NULL REFERENCES auth.tenant_h,
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    granted_by name NOT NULL DEFAULT session_user,
    PRIMARY KEY (role_name, tenant_hk)
);

-- +goose Down
DROP TABLE monitoring.reader_tenant;
-- What stands outside the schema does not go with it.
-- +goose StatementBegin
DO $do$
DECLARE
    v_role   name;
    v_schema name;
BEGIN
    FOR v_role IN SELECT rolname FROM pg_roles
                   WHERE rolname IN ('onevault_owner', 'onevault_worker', 'onevault_operator', 'onevault_reader', 'onevault_collector') LOOP
        FOREACH v_schema IN ARRAY ARRAY['util', 'auth', 'backup_mgmt'] LOOP
            CONTINUE WHEN to_regnamespace(v_schema) IS NULL;
            EXECUTE format('REVOKE ALL ON SCHEMA %I FROM %I', v_schema, v_role);
            EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM %I', v_schema, v_role);
            EXECUTE format('REVOKE ALL ON ALL ROUTINES IN SCHEMA %I FROM %I', v_schema, v_role);
        END LOOP;
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    -- Their owner gave these rights, and may take them back: a right to read less is no reason to stop.
    RAISE NOTICE 'rights of the roles onevault_... on schemas of Phase 1 stay: %', SQLERRM;
END
$do$;
-- +goose StatementEnd
