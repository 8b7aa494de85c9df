-- Lets OneVault read of this server's log the records of log-ins alone: those that failed and those that were
-- authorized. Run it as a superuser, in the database that is watched. {role} is the role that OneVault logs in
-- as. It needs log_destination = 'jsonlog' (PostgreSQL 15 and newer) or 'csvlog', and logging_collector = on.
-- To take it back: DROP SCHEMA onevault CASCADE.
BEGIN;
CREATE SCHEMA IF NOT EXISTS onevault;
REVOKE ALL ON SCHEMA onevault FROM PUBLIC;

CREATE OR REPLACE FUNCTION onevault.read_logins(
    p_file text, p_offset bigint, p_length integer, p_head integer,
    OUT head text, OUT bytes_read bigint, OUT bytes_consumed bigint, OUT records bytea[])
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $reader$
DECLARE
    v_path  text := current_setting('log_directory') || '/' || p_file;
    v_raw   bytea;
    v_csv   boolean := p_file LIKE '%.csv';
    v_text  text;
    v_lines bigint;
BEGIN
    -- A file of the log directory by its bare name, and no other: the reader is no way to other files.
    IF p_file !~ '^[A-Za-z0-9][A-Za-z0-9_.-]*\.(json|csv)$' OR p_file LIKE '%..%'
       OR NOT EXISTS (SELECT FROM pg_ls_logdir() AS f WHERE f.name = p_file) THEN
        RAISE EXCEPTION 'p_file is "%"', p_file USING ERRCODE = '22023', HINT = 'Give the name of a .json or .csv file in log_directory.';
    END IF;
    IF p_offset < 0 OR p_length NOT BETWEEN 0 AND 67108864 OR p_head NOT BETWEEN 0 AND 4096 THEN
        RAISE EXCEPTION 'p_offset is %, p_length %, p_head %', p_offset, p_length, p_head
            USING ERRCODE = '22023', HINT = 'Give an offset of 0 or more, at most 64 MB of length, at most 4096 of head.';
    END IF;
    IF p_head > 0 THEN
        head := encode(sha256(pg_read_binary_file(v_path, 0, p_head)), 'hex');
    END IF;
    v_raw := pg_read_binary_file(v_path, p_offset, p_length);
    bytes_read := length(v_raw);
    v_text := encode(v_raw, 'escape');  -- bytes of any encoding, written as text
    v_lines := length(v_text) - length(replace(v_text, E'\n', ''));

    -- A record of csvlog may have lines, and ends where every quote is closed. What follows the last end of a
    -- line is not whole.
    WITH line AS (
        SELECT t.text, t.n, sum(length(t.text) - length(replace(t.text, '"', ''))) OVER (ORDER BY t.n) % 2 = 1 AND v_csv AS in_quotes,
               t.n > v_lines AS cut_off
          FROM string_to_table(v_text, E'\n') WITH ORDINALITY AS t (text, n)
    ),
    numbered AS (
        SELECT l.*, count(*) FILTER (WHERE NOT l.in_quotes) OVER (ORDER BY l.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS record
          FROM line l
    ),
    record AS (
        SELECT string_agg(n.text, E'\n' ORDER BY n.n) AS text, n.record AS n
          FROM numbered n
         GROUP BY n.record
        HAVING bool_or(NOT n.in_quotes) AND NOT bool_or(n.cut_off)
    )
    SELECT coalesce(sum(octet_length(decode(r.text, 'escape')) + 1), 0),
           coalesce(array_agg(decode(r.text, 'escape') ORDER BY r.n) FILTER (
               WHERE CASE WHEN v_csv THEN r.text ~ ',FATAL,(28...|3D000|42501),' OR r.text ~ ',LOG,00000,"connection authorized: '
                          ELSE r.text ~ '"error_severity":"FATAL","state_code":"(28...|3D000|42501)"' OR r.text ~ '"message":"connection authorized: ' END), '{}')
      INTO bytes_consumed, records
      FROM record r;
END
$reader$;
COMMENT ON FUNCTION onevault.read_logins(text, bigint, integer, integer) IS
    'The records of log-ins in a piece of a log file: those that failed, and those that were authorized. head: SHA-256 of the beginning of the file.';
REVOKE ALL ON FUNCTION onevault.read_logins(text, bigint, integer, integer) FROM PUBLIC;
GRANT USAGE ON SCHEMA onevault TO {role};
GRANT EXECUTE ON FUNCTION onevault.read_logins(text, bigint, integer, integer) TO {role};
COMMIT;
