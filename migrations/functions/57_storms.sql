-- Storms: when so many groups of alerts fire together that people are told of them in one message. Whether there is
-- one is counted here and nowhere else; what people are told is the workflows'.

-- ---------------------------------------------------------------- settings

CREATE OR REPLACE FUNCTION monitoring.storm_setting(p_target text, OUT group_limit integer, OUT window_seconds integer, OUT is_enabled boolean)
    LANGUAGE sql STABLE
    AS $$
    -- What the target's own setting leaves out is the default's.
    SELECT coalesce((own.config_value ->> 'groups')::integer, (every.config_value ->> 'groups')::integer, 10),
           coalesce((own.config_value ->> 'window_seconds')::integer, (every.config_value ->> 'window_seconds')::integer, 60),
           coalesce(own.is_enabled, every.is_enabled, true)
      FROM (SELECT) AS always
      LEFT JOIN monitoring.monitor_config_s every
        ON every.config_type = 'STORM' AND every.config_name = 'default' AND every.load_end_date IS NULL
      LEFT JOIN monitoring.monitor_config_s own
        ON own.config_type = 'STORM' AND own.config_name = 'target ' || p_target AND own.load_end_date IS NULL
    $$;
COMMENT ON FUNCTION monitoring.storm_setting(text) IS
    'How many groups may fire together before it is a storm, and how far apart: 10 within 60 seconds, unless monitor_config_s (STORM) says otherwise by a row named default or "target NAME". NULL: the default.';

CREATE OR REPLACE FUNCTION monitoring.check_storm_setting() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_field record;
    v_other text;
    v_shape constant text := 'Write {"groups": 10, "window_seconds": 60}; either may be left out, and is_enabled = false tells of every group by itself.';
BEGIN
    IF NEW.config_type <> 'STORM' OR NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- not ours, or a version that is history already
    END IF;
    IF NEW.config_name <> 'default' AND NEW.config_name <> 'target local'
       AND NOT EXISTS (SELECT FROM monitoring.target_h h WHERE NEW.config_name = 'target ' || h.target_name) THEN
        RAISE EXCEPTION 'config_name is ''%'': neither default nor a target', NEW.config_name
            USING ERRCODE = '22023', HINT = 'Write default, or the word target and the name of one: target pg-prod-3. All names: onevault target list.';
    END IF;
    SELECT h.monitor_config_bk INTO v_other
      FROM monitoring.monitor_config_s s JOIN monitoring.monitor_config_h h USING (monitor_config_hk)
     WHERE s.config_type = 'STORM' AND s.config_name = NEW.config_name AND s.load_end_date IS NULL
       AND s.monitor_config_hk <> NEW.monitor_config_hk;
    IF v_other IS NOT NULL THEN
        RAISE EXCEPTION 'config_name is ''%'', whose storms are set under the key % already', NEW.config_name, v_other
            USING ERRCODE = '22023', HINT = format('INSERT a new version with monitor_config_hk = util.hash_binary(%L).', v_other);
    END IF;
    IF jsonb_typeof(NEW.config_value) <> 'object' THEN
        RAISE EXCEPTION 'config_value of % is %: not an object', NEW.config_name, NEW.config_value
            USING ERRCODE = '22023', HINT = v_shape;
    END IF;
    FOR v_field IN
        SELECT e.key, e.value, l.least, l.most
          FROM jsonb_each(NEW.config_value) AS e
          LEFT JOIN (VALUES ('groups', 1, 1000), ('window_seconds', 1, 3600)) AS l (key, least, most) USING (key)
    LOOP
        IF v_field.least IS NULL THEN
            RAISE EXCEPTION 'config_value of % holds %, which is unknown', NEW.config_name, quote_literal(v_field.key)
                USING ERRCODE = '22023', HINT = v_shape;
        ELSIF jsonb_typeof(v_field.value) <> 'number' OR (v_field.value #>> '{}')::numeric NOT BETWEEN v_field.least AND v_field.most
           OR (v_field.value #>> '{}')::numeric % 1 <> 0 THEN
            RAISE EXCEPTION 'config_value.% of % is %', v_field.key, NEW.config_name, v_field.value
                USING ERRCODE = '22023', HINT = format('It is a whole number from %s to %s. %s', v_field.least, v_field.most, v_shape);
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_storm_setting() IS 'Trigger of monitor_config_s: a setting by which no storm could be found is refused.';

CREATE OR REPLACE TRIGGER t43_check_storm BEFORE INSERT ON monitoring.monitor_config_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_storm_setting();

-- ---------------------------------------------------------------- as they stand

CREATE OR REPLACE VIEW monitoring.storm_current AS
SELECT h.storm_hk, h.storm_bk, h.storm_kind, h.storm_name, h.tenant_hk, s.began_at, s.ended_at, s.group_limit, s.group_count, s.at_once, s.alert_count
  FROM monitoring.storm_h h
  JOIN monitoring.storm_s s ON s.storm_hk = h.storm_hk AND s.load_end_date IS NULL;
COMMENT ON VIEW monitoring.storm_current IS 'Every storm as it stands; ended_at NULL: it is on.';

CREATE OR REPLACE FUNCTION monitoring.storm_groups(p_kind text, p_name text, p_tenant bytea, p_fired_at timestamptz, p_window_seconds integer) RETURNS integer
    LANGUAGE sql STABLE
    AS $$
    -- One alert speaks for its group: what mutes one of them mutes them all, but for their labels.
    WITH fired AS MATERIALIZED (
        SELECT DISTINCT ON (h.alert_definition_hk, h.target_name) h.alert_instance_bk::text AS alert_key
          FROM monitoring.alert_instance_s s
          JOIN monitoring.alert_instance_h h ON h.alert_instance_hk = s.alert_instance_hk
         WHERE s.load_end_date IS NULL AND s.alert_status IN ('OPEN', 'ESCALATED')
           AND greatest(s.triggered_timestamp, s.reopened_timestamp)
               BETWEEN p_fired_at - make_interval(secs => p_window_seconds) AND p_fired_at + make_interval(secs => p_window_seconds)
           AND h.tenant_hk IS NOT DISTINCT FROM p_tenant
           AND CASE p_kind WHEN 'TARGET' THEN h.target_name = p_name ELSE h.alert_definition_hk = util.hash_binary(p_name) END
         ORDER BY h.alert_definition_hk, h.target_name, h.alert_instance_hk
    )
    SELECT (SELECT count(*) FROM fired)::integer
           - (SELECT count(*) FROM monitoring.mutes_of(ARRAY(SELECT f.alert_key FROM fired f)))::integer
    $$;
COMMENT ON FUNCTION monitoring.storm_groups(text, text, bytea, timestamptz, integer) IS
    'How many groups on a target (TARGET), or of a definition (DEFINITION), fired no more than so many seconds away from a moment, are unanswered and not muted.';

CREATE OR REPLACE FUNCTION monitoring.join_storm(
    p_target text, p_definition text, p_tenant bytea, p_fired_at timestamptz,
    OUT storm_bk text, OUT storm_kind text, OUT storm_name text, OUT began_at timestamptz, OUT group_limit integer, OUT at_once integer)
    RETURNS SETOF record
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
DECLARE
    v_setting record;
    v_count   integer;
    v_storm   record;
BEGIN
    FOR v_storm IN SELECT k.kind, k.name FROM (VALUES ('TARGET', p_target), ('DEFINITION', p_definition)) AS k (kind, name) LOOP
        v_setting := monitoring.storm_setting(CASE v_storm.kind WHEN 'TARGET' THEN p_target END);
        CONTINUE WHEN NOT v_setting.is_enabled;
        FOR look IN 1..2 LOOP
            RETURN QUERY
            SELECT c.storm_bk::text, c.storm_kind::text, c.storm_name::text, c.began_at, c.group_limit, c.at_once
              FROM monitoring.storm_current c
             WHERE c.storm_kind = v_storm.kind AND c.storm_name = v_storm.name AND c.tenant_hk IS NOT DISTINCT FROM p_tenant AND c.ended_at IS NULL
             ORDER BY c.began_at
             LIMIT 1;
            IF FOUND THEN
                RETURN;
            END IF;
            EXIT WHEN look = 2;
            v_count := monitoring.storm_groups(v_storm.kind, v_storm.name, p_tenant, p_fired_at, v_setting.window_seconds);
            EXIT WHEN v_count <= v_setting.group_limit;
            -- Whoever comes second finds the storm that the first one began.
            PERFORM pg_advisory_xact_lock(hashtextextended('onevault storm ' || v_storm.kind || ' ' || v_storm.name, 0));
        END LOOP;
        CONTINUE WHEN v_count <= v_setting.group_limit;
        began_at := clock_timestamp();
        storm_kind := v_storm.kind;
        storm_name := v_storm.name;
        group_limit := v_setting.group_limit;
        -- Of many targets each is looked at by itself, so that those of one definition come one after the other.
        at_once := CASE storm_kind WHEN 'TARGET' THEN monitoring.storm_groups(storm_kind, storm_name, p_tenant, p_fired_at, 2) ELSE 0 END;
        storm_bk := util.bk('STORM', storm_kind, storm_name, coalesce(left(encode(p_tenant, 'hex'), 12), 'SYSTEM'),
                            to_char(began_at AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISSUS'));
        INSERT INTO monitoring.storm_h (storm_hk, storm_bk, tenant_hk, storm_kind, storm_name)
        VALUES (util.hash_binary(storm_bk), storm_bk, p_tenant, storm_kind, storm_name);
        INSERT INTO monitoring.storm_s (storm_hk, hash_diff, began_at, group_limit, group_count, at_once)
        VALUES (util.hash_binary(storm_bk), '\x', began_at, group_limit, v_count, at_once);
        RETURN NEXT;
        RETURN;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.join_storm(text, text, bytea, timestamptz) IS
    'The storm to which a group that fired at a moment belongs: one that is on, or one that begins because the group passes the limit, of its target first, then of its definition. No row: there is none.';

CREATE OR REPLACE FUNCTION monitoring.end_storm(p_storm_bk text, p_at timestamptz, p_groups integer, p_alerts integer) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    c monitoring.storm_s;
BEGIN
    SELECT * INTO c FROM monitoring.storm_s WHERE storm_hk = util.hash_binary(p_storm_bk) AND load_end_date IS NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'storm "%": there is none', p_storm_bk
            USING ERRCODE = 'P0002', HINT = 'See them: SELECT storm_bk FROM monitoring.storm_current WHERE ended_at IS NULL.';
    END IF;
    IF c.ended_at IS NOT NULL THEN
        RETURN false;
    END IF;
    c.ended_at := greatest(p_at, c.began_at);
    c.group_count := greatest(p_groups, c.group_count);
    c.alert_count := p_alerts;
    c.load_date := clock_timestamp();
    INSERT INTO monitoring.storm_s SELECT (c).*;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.end_storm(text, timestamptz, integer, integer) IS
    'Ends a storm that told of so many groups and alerts; false: it had ended. Groups that fire from then on are told one by one, or begin another.';
