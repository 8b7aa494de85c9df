-- Faster than polling: rows that applications and people write wake the evaluation of the definitions that
-- read them. A row asks for a look through the outbox, in its own transaction; the relay looks.

CREATE OR REPLACE FUNCTION monitoring.ask_for_look(p_target text, p_source text) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_asked text := coalesce(current_setting('onevault.looks', true), '');
    v_mark  text := p_target || '/' || p_source || ';';
BEGIN
    -- Once in a transaction is enough. What another one asked for is no help: it may be taken before this commits.
    IF position(v_mark IN v_asked) > 0 THEN
        RETURN;
    END IF;
    INSERT INTO monitoring.outbox (kind, target_name, payload) VALUES ('LOOK', p_target, jsonb_build_object('source', p_source));
    PERFORM set_config('onevault.looks', v_asked || v_mark, true);
    PERFORM pg_notify('onevault_outbox', '');
EXCEPTION WHEN OTHERS THEN
    -- Whoever writes a row must not fail because of who reads it: the next round looks anyway.
    RAISE WARNING 'the alert definitions that read % are not looked at before their next round: %', p_source, SQLERRM;
END
$$;
COMMENT ON FUNCTION monitoring.ask_for_look(text, text) IS
    'Has the enabled definitions of a metric_source evaluated on a target at once; takes effect with the transaction.';

CREATE OR REPLACE FUNCTION monitoring.look_at_security() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.ask_for_look(t.target_name, 'security_events')
       FROM (SELECT DISTINCT h.target_name FROM new_rows n JOIN monitoring.security_event_h h USING (security_event_hk)) AS t;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.look_at_security() IS 'Trigger of security_event_s: a new event is judged at once.';
CREATE OR REPLACE TRIGGER t90_look_at_security AFTER INSERT ON monitoring.security_event_s
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION monitoring.look_at_security();

CREATE OR REPLACE FUNCTION monitoring.look_at_backups() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.ask_for_look('local', 'backup_failures');
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.look_at_backups() IS 'Trigger of backup_mgmt.backup_execution_s: a backup that failed, or at last ended well, is judged at once.';

-- The table may be somebody else's, who does not let us: then the next round sees what it holds.
DO $do$
BEGIN
    CREATE OR REPLACE TRIGGER onevault_look_at_backups AFTER INSERT OR UPDATE ON backup_mgmt.backup_execution_s
        FOR EACH STATEMENT EXECUTE FUNCTION monitoring.look_at_backups();
EXCEPTION WHEN insufficient_privilege OR undefined_table OR wrong_object_type THEN
    RAISE WARNING 'a failed backup is judged at the next round only: %', SQLERRM
        USING HINT = 'As the owner of backup_mgmt.backup_execution_s run: CREATE TRIGGER onevault_look_at_backups AFTER INSERT OR UPDATE ON backup_mgmt.backup_execution_s FOR EACH STATEMENT EXECUTE FUNCTION monitoring.look_at_backups();';
END
$do$;
