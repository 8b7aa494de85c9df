-- The application that is watched: tables of 20 rows, each with a primary key, an index, a sequence and a
-- column that has TOAST.
CREATE SCHEMA IF NOT EXISTS application;

CREATE OR REPLACE PROCEDURE application.grow(p_tables integer)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_have integer := (SELECT count(*) FROM pg_tables WHERE schemaname = 'application');
BEGIN
    FOR i IN v_have + 1 .. p_tables LOOP
        EXECUTE format('CREATE TABLE application.table_%s (
                            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, state text NOT NULL, amount numeric, note text)', i);
        EXECUTE format('INSERT INTO application.table_%s (state, amount) SELECT ''open'', n FROM generate_series(1, 20) AS n', i);
        EXECUTE format('CREATE INDEX ON application.table_%s (state)', i);
        IF i % 200 = 0 THEN
            COMMIT;  -- the locks of all tables at once are more than a server has room for
        END IF;
    END LOOP;
END
$$;
