-- Which functions are ours: what the migrations put is remembered by the hash of its body, so that a
-- function which somebody replaced is noticed.

CREATE OR REPLACE FUNCTION monitoring.remember_functions(p_script text, p_names text[]) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog  -- so that every type but the built-in ones is written with its schema
    AS $$
    WITH present AS (
        SELECT format('monitoring.%I(%s)', p.proname, oidvectortypes(p.proargtypes)) AS signature, sha256(convert_to(p.prosrc, 'UTF8')) AS source
          FROM pg_proc p
         WHERE p.pronamespace = 'monitoring'::regnamespace AND p.proname = ANY (p_names)
    ),
    gone AS (
        DELETE FROM monitoring.installed_function i
         WHERE i.script_name = p_script AND i.function_signature NOT IN (SELECT signature FROM present)
    )
    INSERT INTO monitoring.installed_function (function_signature, source_sha256, script_name)
    SELECT signature, source, p_script FROM present
    ON CONFLICT (function_signature) DO UPDATE
       SET source_sha256 = excluded.source_sha256, script_name = excluded.script_name, put_at = now()
    $$;
COMMENT ON FUNCTION monitoring.remember_functions(text, text[]) IS
    'Called by `onevault migrate up` after it put a script: remembers the functions that the script makes, as they are now.';

CREATE OR REPLACE FUNCTION monitoring.replaced_functions()
    RETURNS TABLE (function_signature text, function_state text, function_owner name, script_name text)
    LANGUAGE sql STABLE
    AS $$
    SELECT i.function_signature, CASE WHEN p.oid IS NULL THEN 'MISSING' ELSE 'REPLACED' END, pg_get_userbyid(p.proowner), i.script_name
      FROM monitoring.installed_function i
      LEFT JOIN pg_proc p ON p.oid = to_regprocedure(i.function_signature)
     WHERE p.oid IS NULL OR sha256(convert_to(p.prosrc, 'UTF8')) <> i.source_sha256
     ORDER BY i.function_signature
    $$;
COMMENT ON FUNCTION monitoring.replaced_functions() IS
    'The functions of OneVault whose body is not the one that the migrations put (REPLACED), or that are gone (MISSING). `onevault migrate repair` puts ours back.';
