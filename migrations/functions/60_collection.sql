-- Recording of samples, and the guide's collect_system_health_metrics. The queries themselves are the
-- files of collect/health, kept as rows of monitoring.health_query: one text for psql and the worker.

CREATE OR REPLACE FUNCTION monitoring.rate_of(p_counter jsonb, p_previous jsonb, p_seconds numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- A counter that went backwards was reset: what it shows now is what came since.
    SELECT CASE
        WHEN p_counter ? 'whole' THEN
            CASE WHEN (p_counter ->> 'whole')::numeric >= (p_previous ->> 'whole')::numeric
                 THEN round(((p_counter ->> 'part')::numeric - (p_previous ->> 'part')::numeric)
                            / nullif((p_counter ->> 'whole')::numeric - (p_previous ->> 'whole')::numeric, 0), 4)
                 ELSE round((p_counter ->> 'part')::numeric / nullif((p_counter ->> 'whole')::numeric, 0), 4) END
        WHEN p_previous IS NULL OR p_seconds <= 0 THEN NULL
        ELSE round(coalesce((p_counter ->> 'per_s')::numeric, 1) / p_seconds *
                   CASE WHEN (p_counter ->> 'count')::numeric >= (p_previous ->> 'count')::numeric
                        THEN (p_counter ->> 'count')::numeric - (p_previous ->> 'count')::numeric
                        ELSE (p_counter ->> 'count')::numeric END, 4)
        END
    $$;
COMMENT ON FUNCTION monitoring.rate_of(jsonb, jsonb, numeric) IS
    'Turns two samples of a cumulative counter into a ratio {part, whole} or a rate {count, per_s, over_s}; NULL: no previous sample, or nothing happened between.';

CREATE OR REPLACE FUNCTION monitoring.rate_status(p_value numeric, p_warning numeric, p_critical numeric, p_low_is_bad boolean) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN p_value IS NULL THEN 'UNKNOWN'
        WHEN p_low_is_bad AND p_value <= p_critical OR NOT p_low_is_bad AND p_value >= p_critical THEN 'CRITICAL'
        WHEN p_low_is_bad AND p_value <= p_warning OR NOT p_low_is_bad AND p_value >= p_warning THEN 'WARNING'
        ELSE 'NORMAL' END
    $$;
COMMENT ON FUNCTION monitoring.rate_status(numeric, numeric, numeric, boolean) IS
    'NORMAL, WARNING, CRITICAL by the thresholds; UNKNOWN without a value.';

CREATE OR REPLACE FUNCTION monitoring.kept_evidence(p_evidence jsonb) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
BEGIN
    -- Statements in it lose what could be a secret.
    RETURN CASE WHEN length(p_evidence::text) > 65536
                THEN jsonb_build_object('left_out', format('%s characters, more than 65536', length(p_evidence::text)))
                WHEN jsonb_typeof(p_evidence) = 'array'
                THEN (SELECT jsonb_agg(CASE WHEN jsonb_typeof(e -> 'query') = 'string'
                                            THEN e || jsonb_build_object('query', monitoring.redact_statement(e ->> 'query')) ELSE e END ORDER BY o)
                        FROM jsonb_array_elements(p_evidence) WITH ORDINALITY AS a (e, o))
                ELSE p_evidence END;
END
$$;
COMMENT ON FUNCTION monitoring.kept_evidence(jsonb) IS
    'What is kept beside a value: of bounded size, and without the secrets of the statements in an array of {query, ...}.';

CREATE OR REPLACE FUNCTION monitoring.record_health_samples(
    p_target text, p_tenant_hk bytea, p_at timestamptz, p_interval_s integer, p_samples jsonb)
    RETURNS TABLE (metric_name varchar(100), current_value numeric, status varchar(20), threshold_warning numeric, threshold_critical numeric)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM monitoring.ensure_partitions_around(p_at);
    RETURN QUERY
    WITH sent AS MATERIALIZED (
        SELECT s.*, k.bk, util.hash_binary(k.bk) AS hk,
               count(*) OVER (PARTITION BY k.bk) AS copies, row_number() OVER (PARTITION BY k.bk) AS copy
          FROM (SELECT x.name, x.category, x.unit, x.value, x.warning, x.critical, x.low_is_bad, x.source, x.counter, x.error, x.evidence,
                       coalesce(x.labels, '{}') AS labels, greatest(p_interval_s, x.every_s) AS interval_s
                  FROM jsonb_to_recordset(p_samples) AS x (
                           name text, category text, unit text, value numeric, warning numeric, critical numeric,
                           low_is_bad boolean, source text, counter jsonb, error text, labels jsonb, evidence jsonb, every_s integer)) AS s,
               LATERAL (SELECT monitoring.health_key(p_target, p_tenant_hk, s.name, s.labels) AS bk) AS k
    ),
    given AS MATERIALIZED (
        -- One sample of a series at a moment: of several, none is known to be the right one.
        SELECT s.hk, s.bk, s.name, s.category, s.unit, s.low_is_bad, s.source, s.labels, s.interval_s, s.evidence,
               CASE WHEN abs(s.warning) < 1e20 THEN s.warning END AS warning,
               CASE WHEN abs(s.critical) < 1e20 THEN s.critical END AS critical,
               CASE WHEN s.copies = 1 AND abs(s.value) < 1e20 THEN s.value END AS value,
               CASE WHEN s.copies = 1 THEN s.counter END AS counter,
               CASE WHEN s.copies > 1 THEN format('%s rows have the same labels %s: let GROUP BY make one of them', s.copies, s.labels)
                    WHEN abs(s.value) >= 1e20 THEN format('the value %s is larger than can be kept', s.value)
                    ELSE s.error END AS error
          FROM sent s
         WHERE s.copy = 1
    ),
    compared AS MATERIALIZED (
        SELECT g.*, previous.at AS previous_at, previous.counter AS previous_counter,
               g.counter -> 'since' <> previous.counter -> 'since' AS begun_anew,
               -- They began before the last look, and yet are others: those of another server.
               g.counter -> 'since' <> previous.counter -> 'since'
                   AND (g.counter ->> 'since')::numeric < extract(epoch FROM previous.at) AS elsewhere
          FROM given g
          LEFT JOIN LATERAL (
                   SELECT p.additional_context -> 'counter' AS counter, p.measurement_timestamp AS at
                     FROM monitoring.system_health_metric_s p
                    WHERE g.counter IS NOT NULL
                      AND p.health_metric_hk = g.hk AND p.load_end_date IS NULL
                      AND p.measurement_timestamp > p_at - greatest(interval '1 hour', make_interval(secs => 2.5 * g.interval_s))
                      AND p.measurement_timestamp < p_at - interval '5 seconds'
                      AND p.additional_context ? 'counter'
                    -- The newest; of a counter that is looked at over a time, the oldest within it: so that what
                    -- happens once stays visible for that long, however often it is sampled.
                    ORDER BY p.measurement_timestamp >= p_at - make_interval(secs => (g.counter ->> 'over_s')::numeric::float8) DESC NULLS LAST,
                             CASE WHEN p.measurement_timestamp >= p_at - make_interval(secs => (g.counter ->> 'over_s')::numeric::float8)
                                  THEN p.measurement_timestamp END,
                             p.measurement_timestamp DESC
                    LIMIT 1) AS previous ON true
    ),
    valued AS MATERIALIZED (
        SELECT c.*,
               CASE WHEN c.counter IS NULL THEN c.value
                    WHEN c.elsewhere THEN NULL
                    -- Without an earlier sample a ratio since the last reset is true, a rate is unknown.
                    WHEN (c.previous_counter IS NULL OR c.begun_anew) AND c.counter ? 'whole'
                        THEN round((c.counter ->> 'part')::numeric / nullif((c.counter ->> 'whole')::numeric, 0), 4)
                    WHEN c.begun_anew THEN monitoring.rate_of(c.counter, '{"count": 0}', extract(epoch FROM p_at - c.previous_at))
                    ELSE monitoring.rate_of(c.counter, c.previous_counter, extract(epoch FROM p_at - c.previous_at)) END AS measured,
               CASE WHEN c.counter IS NULL AND c.value IS NULL AND c.error IS NULL THEN 'the server told no value: the role of the collector may lack pg_monitor'
                    WHEN c.elsewhere THEN 'another server answers than before: its counters cannot be compared with the last ones'
                    WHEN c.counter IS NOT NULL AND c.previous_counter IS NULL AND NOT c.counter ? 'whole' THEN 'first sample: a rate needs two'
                    WHEN c.counter ? 'whole' AND (c.counter ->> 'whole')::numeric = 0 THEN 'nothing happened since the counters began'
                    WHEN c.counter ? 'whole' AND c.counter ->> 'whole' = c.previous_counter ->> 'whole' THEN 'nothing happened since the previous sample' END AS why_unknown
          FROM compared c
    ),
    rated AS MATERIALIZED (
        SELECT v.*, CASE WHEN abs(v.measured) < 1e20 THEN v.measured END AS kept,
               monitoring.rate_status(v.measured, v.warning, v.critical, v.low_is_bad) AS rating
          FROM valued v
    ),
    new_hubs AS (
        INSERT INTO monitoring.system_health_metric_h (health_metric_hk, health_metric_bk, tenant_hk, record_source, target_name)
        SELECT r.hk, r.bk, p_tenant_hk, 'SYSTEM_COLLECTOR', p_target
          FROM rated r
         WHERE NOT EXISTS (SELECT FROM monitoring.system_health_metric_h h WHERE h.health_metric_hk = r.hk)
         ORDER BY r.hk
        ON CONFLICT DO NOTHING
    )
    INSERT INTO monitoring.system_health_metric_s (
        health_metric_hk, hash_diff, metric_name, metric_category, metric_value, metric_unit, threshold_warning, threshold_critical,
        measurement_timestamp, measurement_interval_seconds, status, additional_context, data_source, collection_method, record_source, labels)
    SELECT r.hk, util.hash_binary(r.bk || '|' || coalesce(r.kept::text, '^^') || '|' || r.rating), r.name, r.category, r.kept,
           r.unit, r.warning, r.critical, p_at, r.interval_s, r.rating,
           nullif(jsonb_strip_nulls(jsonb_build_object('counter', r.counter, 'error', coalesce(r.error, r.why_unknown)))
                  || CASE WHEN r.evidence IS NULL THEN '{}' ELSE jsonb_build_object('evidence', monitoring.kept_evidence(r.evidence)) END, '{}'),
           r.source, 'AUTOMATIC', 'SYSTEM_COLLECTOR', r.labels
      FROM rated r
    RETURNING metric_name, metric_value, status, threshold_warning, threshold_critical;
END
$$;
COMMENT ON FUNCTION monitoring.record_health_samples(text, bytea, timestamptz, integer, jsonb) IS
    'Records one collection of a target: [{name, category, unit, value, warning, critical, low_is_bad, source, counter, error, labels, evidence, every_s}]. A sample with an error is kept as UNKNOWN, with the error.';

CREATE OR REPLACE FUNCTION monitoring.record_collection(
    p_target text, p_tenant_hk bytea, p_at timestamptz, p_interval_s integer, p_samples jsonb, p_runs jsonb)
    RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_written integer;
BEGIN
    SELECT count(*) INTO v_written FROM monitoring.record_health_samples(p_target, p_tenant_hk, p_at, p_interval_s, p_samples);
    INSERT INTO monitoring.health_query_run AS known (target_name, query_name, ran_at, row_count, error, left_out)
    SELECT p_target, r.query, p_at, coalesce(r.rows, 0), r.error, r.left_out
      FROM jsonb_to_recordset(p_runs) AS r (query text, rows integer, error text, left_out text)
     ORDER BY r.query  -- in one order, so that two collections never wait for each other
    ON CONFLICT (target_name, query_name) DO UPDATE
       SET ran_at = excluded.ran_at, row_count = excluded.row_count, error = excluded.error, left_out = excluded.left_out
     WHERE known.ran_at <= excluded.ran_at;
    RETURN v_written;
END
$$;
COMMENT ON FUNCTION monitoring.record_collection(text, bytea, timestamptz, integer, jsonb, jsonb) IS
    'Records the samples of a collection, as record_health_samples does, and when each of its queries ran: [{query, rows, error, left_out}]. Returns how many samples were written.';

CREATE OR REPLACE FUNCTION monitoring.latest_disk_sample() RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    -- SQL cannot ask the file system; what a worker on this host measured lately is the only truth.
    SELECT jsonb_build_array(jsonb_build_object(
               'name', 'disk_usage_pct', 'category', 'CAPACITY', 'unit', '%', 'value', recent.metric_value,
               'warning', 80, 'critical', 95, 'low_is_bad', false, 'source', 'system_health_metric_s',
               'error', CASE WHEN recent.metric_value IS NULL THEN 'no worker on this host measured the disk within 15 minutes' END))
      FROM (SELECT 1) AS always
      LEFT JOIN LATERAL (
               SELECT s.metric_value
                 FROM monitoring.system_health_metric_s s
                 JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
                WHERE h.target_name = 'local' AND s.metric_name = 'disk_usage_pct' AND s.load_end_date IS NULL
                  AND s.data_source = 'statfs'  -- measured, and not copied here: a copy would feed itself for ever
                  AND s.measurement_timestamp > statement_timestamp() - interval '15 minutes'
                ORDER BY s.measurement_timestamp DESC
                LIMIT 1) AS recent ON true
    $$;
COMMENT ON FUNCTION monitoring.latest_disk_sample() IS 'The newest disk usage that a worker measured; UNKNOWN when there is none, never a constant.';

CREATE OR REPLACE FUNCTION monitoring.measure(p_query text) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_query     monitoring.health_query;
    v_version   integer := current_setting('server_version_num')::integer / 10000;
    v_statement text;
    v_samples   jsonb;
    v_rows      integer;
    v_error     text;
BEGIN
    SELECT * INTO v_query FROM monitoring.health_query q WHERE q.query_name = p_query;
    IF v_query IS NULL THEN
        RAISE EXCEPTION 'there is no query "%" in the catalogue', p_query
            USING ERRCODE = 'P0002', HINT = 'All names: SELECT query_name FROM monitoring.health_query.';
    END IF;
    IF v_query.requires IS NOT NULL AND NOT EXISTS (
               SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = split_part(v_query.requires, '.', 1) AND c.relname = split_part(v_query.requires, '.', 2))
       OR v_query.runs_on = 'standby' AND NOT pg_is_in_recovery() OR v_query.runs_on = 'primary' AND pg_is_in_recovery() THEN
        RETURN '[]';
    END IF;

    SELECT v ->> 'sql' INTO v_statement
      FROM jsonb_array_elements(v_query.variants) AS v
     WHERE v_version BETWEEN (v ->> 'from')::integer AND (v ->> 'to')::integer;
    v_error := CASE
        WHEN v_statement IS NULL THEN format('PostgreSQL %s is not supported', v_version)
        WHEN v_query.extension IS NOT NULL AND NOT EXISTS (SELECT FROM pg_extension WHERE extname = v_query.extension)
            THEN format('extension %s does not exist in this database: CREATE EXTENSION %1$s', v_query.extension)
        WHEN v_query.role_name IS NOT NULL AND NOT pg_has_role(v_query.role_name, 'USAGE')
            THEN format('the role of the collector is no member of %s: GRANT pg_monitor to it', v_query.role_name) END;
    IF v_error IS NULL THEN
        BEGIN
            EXECUTE 'SELECT jsonb_agg(to_jsonb(s)), max(s.row) FROM (' || v_statement || E'\n) AS s' INTO v_samples, v_rows;
            v_error := CASE WHEN v_rows > v_query.max_rows THEN format('the SELECT yields more than %s rows', v_query.max_rows)
                            WHEN v_rows IS NULL AND v_query.label_names = '{}' AND v_query.empty_reason IS NULL THEN 'the SELECT yields no row' END;
        EXCEPTION WHEN OTHERS THEN
            v_error := SQLERRM;
        END;
    END IF;
    -- One query that fails leaves its own metrics UNKNOWN and the others untouched.
    RETURN (SELECT coalesce(jsonb_agg(coalesce(s.sample, '{}')
                                      || jsonb_build_object('name', m.metric_name, 'category', m.category, 'unit', m.unit, 'low_is_bad', m.low_is_bad,
                                                            'source', v_query.data_source, 'every_s', v_query.every_s,
                                                            'error', coalesce(v_error, s.sample ->> 'error'))), '[]')
              FROM monitoring.health_metric m
              LEFT JOIN jsonb_array_elements(CASE WHEN v_error IS NULL THEN v_samples END) AS s (sample) ON s.sample ->> 'name' = m.metric_name
             WHERE m.query_name = p_query AND (v_error IS NOT NULL OR s.sample IS NOT NULL));
END
$$;
COMMENT ON FUNCTION monitoring.measure(text) IS
    'Runs a query of the catalogue on this server now and returns its samples, as record_health_samples takes them. Nothing is recorded.';

CREATE OR REPLACE FUNCTION monitoring.collect_system_health_metrics(p_tenant_hk bytea DEFAULT NULL)
    RETURNS TABLE (metric_name varchar(100), current_value numeric, status varchar(20), threshold_warning numeric, threshold_critical numeric)
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_query   text;
    v_samples jsonb := monitoring.latest_disk_sample();
BEGIN
    -- What it returns has no place for labels: series that only these tell apart are left to the worker.
    FOR v_query IN SELECT q.query_name FROM monitoring.health_query q WHERE q.label_names = '{}' ORDER BY q.query_name LOOP
        v_samples := v_samples || monitoring.measure(v_query);
    END LOOP;
    RETURN QUERY
        SELECT r.* FROM monitoring.record_health_samples('local', p_tenant_hk, clock_timestamp(), 300, v_samples) AS r
         ORDER BY r.metric_name;
END
$$;
COMMENT ON FUNCTION monitoring.collect_system_health_metrics(bytea) IS
    'Measures this server now, whatever is due, records every sample and returns them. Metrics with labels are left to the worker.';

-- ---------------------------------------------------------------- metrics that people add

DROP FUNCTION IF EXISTS monitoring.definitions_naming(text);

CREATE OR REPLACE FUNCTION monitoring.definitions_naming(p_metric text, p_labels text[]) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT string_agg(h.alert_definition_bk, ', ' ORDER BY h.alert_definition_bk)
      FROM monitoring.alert_definition_s s
      JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
     WHERE s.load_end_date IS NULL AND s.is_enabled AND s.metric_source = 'system_health'
       AND (s.condition_logic ~ ('\m' || p_metric || '\M') OR s.clear_condition_logic ~ ('\m' || p_metric || '\M'))
       AND (p_labels IS NULL
            OR p_labels <> '{}' AND (s.alert_by = '{}' OR NOT s.alert_by <@ p_labels)
            OR p_labels = '{}' AND s.alert_by <> '{}'
               AND EXISTS (SELECT FROM monitoring.condition_identifier c
                            WHERE c.metric_source = 'system_health' AND c.identifier = p_metric AND c.label_names <> '{}'))
    $$;
COMMENT ON FUNCTION monitoring.definitions_naming(text, text[]) IS
    'The enabled definitions whose conditions name a health metric and could not be evaluated if it had these labels (NULL: if it were not there), as a list; NULL: none.';

CREATE OR REPLACE FUNCTION monitoring.check_metric_definition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_naming text;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere
    END IF;
    IF NEW.metric_name !~ '^[a-z][a-z0-9_]{1,62}$' THEN
        RAISE EXCEPTION 'metric_name "%" cannot be the name of a metric', NEW.metric_name
            USING ERRCODE = '22023', HINT = 'Use 2 to 63 small letters, digits and _, with a letter first.';
    END IF;
    IF EXISTS (SELECT FROM monitoring.health_metric m WHERE NEW.metric_name IN (m.metric_name, m.query_name)) THEN
        RAISE EXCEPTION 'metric_name "%" is the name of a metric or a query that is built in', NEW.metric_name
            USING ERRCODE = '22023', HINT = 'Choose another name; `onevault metric list` shows those that are taken.';
    END IF;
    IF NEW.metric_category <> ALL (ARRAY['PERFORMANCE', 'CAPACITY', 'AVAILABILITY', 'BACKUP', 'SECURITY']) THEN
        RAISE EXCEPTION 'metric_category "%" of metric "%" is unknown', NEW.metric_category, NEW.metric_name
            USING ERRCODE = '22023', HINT = 'Use PERFORMANCE, CAPACITY, AVAILABILITY, BACKUP or SECURITY.';
    END IF;
    IF NEW.every_s NOT BETWEEN 0 AND 86400 THEN
        RAISE EXCEPTION 'every_s of metric "%" is %', NEW.metric_name, NEW.every_s
            USING ERRCODE = '22023', HINT = 'Give seconds between 0 (at every collection) and 86400.';
    END IF;
    IF cardinality(NEW.target_names) = 0 THEN
        RAISE EXCEPTION 'target_names of metric "%" is empty', NEW.metric_name
            USING ERRCODE = '22023', HINT = 'Name the targets on which it is measured, or give NULL for all.';
    END IF;
    IF NEW.definition_text !~ ('(^|\n)-- metric ' || NEW.metric_name || '\M') OR length(NEW.definition_text) > 100000 THEN
        RAISE EXCEPTION 'definition_text of metric "%" is no file that defines it', NEW.metric_name
            USING ERRCODE = '22023', HINT = format('Begin it with `-- metric %s [UNIT] CATEGORY: description`, and write one SELECT below the header; or call monitoring.apply_metric().', NEW.metric_name);
    END IF;
    v_naming := monitoring.definitions_naming(NEW.metric_name, CASE WHEN NEW.is_enabled THEN NEW.label_names END);
    IF v_naming IS NOT NULL THEN
        RAISE EXCEPTION 'metric "%" is named by the alert definition %', NEW.metric_name, v_naming
            USING ERRCODE = '55000',
                  HINT = CASE WHEN NEW.is_enabled THEN 'With these labels its condition could not be evaluated as alert_by says: change or disable the definition first.'
                              ELSE 'Change or disable the definition first: without the metric it could not be evaluated.' END;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_metric_definition() IS
    'Trigger of metric_definition_s: refuses a metric that could not be measured, and the removal of one that a condition names.';
CREATE OR REPLACE TRIGGER t10_check_metric_definition BEFORE INSERT ON monitoring.metric_definition_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_metric_definition();

CREATE OR REPLACE FUNCTION monitoring.offer_metric_to_conditions() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    IF NEW.load_end_date IS NULL THEN
        DELETE FROM monitoring.condition_identifier WHERE metric_source = 'system_health' AND identifier = NEW.metric_name;
        INSERT INTO monitoring.condition_identifier (metric_source, identifier, description, unit, every_s, label_names)
        SELECT 'system_health', NEW.metric_name, NEW.metric_description, NEW.metric_unit, nullif(NEW.every_s, 0), NEW.label_names
         WHERE NEW.is_enabled;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.offer_metric_to_conditions() IS
    'Trigger of metric_definition_s: lets conditions name a metric for as long as it is measured.';
CREATE OR REPLACE TRIGGER t70_offer_metric_to_conditions AFTER INSERT ON monitoring.metric_definition_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.offer_metric_to_conditions();

CREATE OR REPLACE FUNCTION monitoring.save_metric(
    p_name text, p_description text, p_unit text, p_category text, p_every_s integer, p_labels text[], p_targets text[], p_text text,
    p_by text DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_bk     text := util.bk('METRIC', p_name);
    v_before timestamptz;
BEGIN
    SELECT max(s.load_date) INTO v_before FROM monitoring.metric_definition_s s WHERE s.metric_definition_hk = util.hash_binary(v_bk);
    INSERT INTO monitoring.metric_definition_h (metric_definition_hk, metric_definition_bk) VALUES (util.hash_binary(v_bk), v_bk);
    INSERT INTO monitoring.metric_definition_s (
        metric_definition_hk, hash_diff, metric_name, metric_description, metric_unit, metric_category, every_s, label_names, target_names,
        definition_text, changed_by)
    VALUES (
        util.hash_binary(v_bk), '\x', p_name, p_description, p_unit, p_category, p_every_s, coalesce(p_labels, '{}'), p_targets,
        p_text, coalesce(nullif(btrim(p_by), ''), session_user));
    RETURN EXISTS (SELECT FROM monitoring.metric_definition_s s
                    WHERE s.metric_definition_hk = util.hash_binary(v_bk) AND s.load_end_date IS NULL AND (v_before IS NULL OR s.load_date > v_before));
END
$$;
COMMENT ON FUNCTION monitoring.save_metric(text, text, text, text, integer, text[], text[], text, text) IS
    'Keeps a metric that people added, from the parts of its file and its text. false: it stands so already. p_targets NULL: on all targets.';

CREATE OR REPLACE FUNCTION monitoring.apply_metric(
    p_name text, p_description text, p_unit text, p_category text, p_query text, p_every interval DEFAULT '0',
    p_warning numeric DEFAULT NULL, p_critical numeric DEFAULT NULL, p_low_is_bad boolean DEFAULT false,
    p_labels text[] DEFAULT '{}', p_targets text[] DEFAULT NULL)
    RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_header text[];
    v_line   text;
BEGIN
    v_header := ARRAY[
        concat_ws(' ', 'metric', p_name, '[' || p_unit || ']', p_category, CASE WHEN p_low_is_bad THEN 'low' END,
                  'warning ' || p_warning, 'critical ' || p_critical) || ': ' || p_description,
        CASE WHEN p_labels <> '{}' THEN 'by ' || array_to_string(p_labels, ', ') END,
        CASE WHEN p_every > interval '0' THEN 'every ' || extract(epoch FROM p_every)::integer || 's' END];
    -- A line more would be another field of the header.
    FOREACH v_line IN ARRAY v_header LOOP
        IF v_line ~ E'[\n\r]' THEN
            RAISE EXCEPTION 'name, description, unit, category or labels of metric "%" hold a line break', p_name
                USING ERRCODE = '22023', HINT = 'Write each in one line.';
        END IF;
    END LOOP;
    IF v_header[1] IS NULL OR btrim(p_description) = '' OR p_unit ~ '\]|^$' THEN
        RAISE EXCEPTION 'name, description, unit or category of metric "%" is missing', p_name
            USING ERRCODE = '22023', HINT = 'Give each; the unit without brackets, such as count, s, B or %.';
    END IF;
    IF p_query !~* '^\s*(select|with|values)\M' THEN
        RAISE EXCEPTION 'p_query of metric "%" begins with "%"', p_name, left(btrim(p_query), 20)
            USING ERRCODE = '22023', HINT = format('Write one SELECT with a column %s, and one for each label.', p_name);
    END IF;
    RETURN monitoring.save_metric(p_name, p_description, p_unit, p_category, extract(epoch FROM p_every)::integer, p_labels, p_targets,
        (SELECT string_agg('-- ' || h || E'\n', '' ORDER BY o) FROM unnest(v_header) WITH ORDINALITY AS l (h, o) WHERE h IS NOT NULL)
        || E'\n' || p_query || E'\n', session_user);
END
$$;
COMMENT ON FUNCTION monitoring.apply_metric(text, text, text, text, text, interval, numeric, numeric, boolean, text[], text[]) IS
    'Adds a metric, or a new version of it: one SELECT with a column of the metric''s name, and one for each label. The next collection runs it on all targets, or on p_targets, read-only; what is wrong with it stands there as its error. false: it stands so already.';

CREATE OR REPLACE FUNCTION monitoring.remove_metric(p_name text, p_by text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_current monitoring.metric_definition_s;
BEGIN
    SELECT * INTO v_current FROM monitoring.metric_definition_s s
     WHERE s.metric_definition_hk = util.hash_binary(util.bk('METRIC', p_name)) AND s.load_end_date IS NULL;
    IF v_current IS NULL THEN
        RAISE EXCEPTION 'nobody added a metric "%"', p_name
            USING ERRCODE = 'P0002',
                  HINT = CASE WHEN EXISTS (SELECT FROM monitoring.health_metric m WHERE m.metric_name = p_name)
                              THEN 'It is built in, and stays.' ELSE '`onevault metric list --own` shows those that were added.' END;
    END IF;
    INSERT INTO monitoring.metric_definition_s (
        metric_definition_hk, hash_diff, metric_name, metric_description, metric_unit, metric_category, every_s, label_names, target_names,
        definition_text, is_enabled, changed_by)
    SELECT v_current.metric_definition_hk, '\x', v_current.metric_name, v_current.metric_description, v_current.metric_unit, v_current.metric_category,
           v_current.every_s, v_current.label_names, v_current.target_names, v_current.definition_text, false,
           coalesce(nullif(btrim(p_by), ''), session_user)
     WHERE v_current.is_enabled;
    RETURN v_current.is_enabled;
END
$$;
COMMENT ON FUNCTION monitoring.remove_metric(text, text) IS
    'Ends the measuring of a metric that people added; what was measured stays. false: it was removed before.';
