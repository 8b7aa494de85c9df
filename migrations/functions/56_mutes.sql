-- What keeps people from being told of an alert: silences, maintenance and inhibition. Which alerts one means,
-- and what mutes an alert now, is answered here and nowhere else: psql, the command line and workflows agree.

-- ---------------------------------------------------------------- matchers

CREATE OR REPLACE FUNCTION monitoring.parse_matcher(p_matcher text, OUT field text, OUT operator text, OUT operand text)
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    v_parts text[] := regexp_match(p_matcher, '^([a-z]+(?:\.[A-Za-z_][A-Za-z0-9_]*)?)(=~|!~|!=|=)(.*)$');
BEGIN
    field := v_parts[1];
    operator := v_parts[2];
    operand := v_parts[3];
END
$$;
COMMENT ON FUNCTION monitoring.parse_matcher(text) IS 'The parts of field=value, field!=value, field=~pattern or field!~pattern; NULLs: it is none.';

CREATE OR REPLACE FUNCTION monitoring.matches(p_matchers text[], p_facts jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    v_matcher text;
    m         record;
    v_value   text;
BEGIN
    IF coalesce(cardinality(p_matchers), 0) = 0 THEN
        RETURN false;  -- nothing said means nothing, and not everything
    END IF;
    FOREACH v_matcher IN ARRAY p_matchers LOOP
        m := monitoring.parse_matcher(v_matcher);
        v_value := coalesce(CASE WHEN m.field LIKE 'label.%' THEN p_facts -> 'labels' ->> substr(m.field, 7) ELSE p_facts ->> m.field END, '');
        IF (CASE m.operator
                WHEN '=' THEN lower(v_value) = lower(m.operand)
                WHEN '!=' THEN lower(v_value) <> lower(m.operand)
                WHEN '=~' THEN v_value ~* m.operand
                WHEN '!~' THEN v_value !~* m.operand
            END) IS NOT TRUE THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.matches(text[], jsonb) IS
    'Whether all matchers hold for an alert whose facts are {definition, target, severity, category, source, tenant, labels}. None regards case, a pattern may match anywhere, and what an alert does not have is the empty text. No matchers match nothing.';

CREATE OR REPLACE FUNCTION monitoring.check_matchers(p_of text, p_matchers text[]) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_matcher text;
    m         record;
BEGIN
    IF coalesce(cardinality(p_matchers), 0) = 0 THEN
        RAISE EXCEPTION '%: matchers is empty', p_of
            USING ERRCODE = '22023', HINT = 'Say which alerts are meant, such as target=pg-prod-3; whoever means every alert writes target=~.';
    END IF;
    IF cardinality(p_matchers) > 20 THEN
        RAISE EXCEPTION '%: matchers holds % of them', p_of, cardinality(p_matchers) USING ERRCODE = '22023', HINT = 'Use at most 20; one pattern can name several: target=~^(a|b|c)$';
    END IF;
    FOREACH v_matcher IN ARRAY p_matchers LOOP
        m := monitoring.parse_matcher(v_matcher);
        IF m.field IS NULL OR length(v_matcher) > 500 THEN
            RAISE EXCEPTION '%: matchers holds "%", which is no matcher', p_of, left(coalesce(v_matcher, 'NULL'), 100)
                USING ERRCODE = '22023', HINT = 'Write field=value, field!=value, field=~pattern or field!~pattern, such as target=pg-prod-3.';
        END IF;
        IF m.field NOT IN ('definition', 'target', 'severity', 'category', 'source', 'tenant') AND m.field NOT LIKE 'label.%' THEN
            RAISE EXCEPTION '%: matcher "%": there is no field "%"', p_of, v_matcher, m.field
                USING ERRCODE = '22023', HINT = 'Use definition, target, severity, category, source, tenant or label.NAME.';
        END IF;
        IF m.operator IN ('=~', '!~') THEN
            BEGIN
                PERFORM '' ~* m.operand;
            EXCEPTION WHEN invalid_regular_expression THEN
                RAISE EXCEPTION '%: matcher "%": %', p_of, v_matcher, SQLERRM
                    USING ERRCODE = '22023', HINT = 'Correct the pattern; to take a character such as ( as it is, write \( for it.';
            END;
        ELSIF m.field = 'severity' AND upper(m.operand) NOT IN ('LOW', 'MEDIUM', 'HIGH', 'CRITICAL') THEN
            RAISE EXCEPTION '%: matcher "%": no alert has that severity', p_of, v_matcher
                USING ERRCODE = '22023', HINT = 'Use LOW, MEDIUM, HIGH or CRITICAL.';
        ELSIF m.field = 'definition' AND NOT EXISTS (SELECT FROM monitoring.alert_definition_h h WHERE lower(h.alert_definition_bk) = lower(m.operand)) THEN
            RAISE EXCEPTION '%: matcher "%": there is no such definition', p_of, v_matcher
                USING ERRCODE = '22023', HINT = 'See their keys: onevault definition list -o wide; a pattern may name what is yet to come: definition=~^SHOP_';
        ELSIF m.field = 'target' AND lower(m.operand) <> 'local'
              AND NOT EXISTS (SELECT FROM monitoring.target_h h WHERE lower(h.target_name) = lower(m.operand)) THEN
            RAISE EXCEPTION '%: matcher "%": there is no such target', p_of, v_matcher
                USING ERRCODE = '22023', HINT = 'See them: onevault target list; a pattern may name what is yet to come: target=~^pg-prod';
        ELSIF m.field = 'tenant' AND m.operand !~ '^([0-9a-fA-F]{64})?$' THEN
            RAISE EXCEPTION '%: matcher "%": a tenant is meant by its hash key', p_of, v_matcher
                USING ERRCODE = '22023', HINT = 'See them: SELECT tenant_bk, encode(tenant_hk, ''hex'') FROM auth.tenant_h. Alerts of no tenant have the empty text: tenant=';
        END IF;
    END LOOP;
END
$$;
COMMENT ON FUNCTION monitoring.check_matchers(text, text[]) IS
    'Raises 22023 for matchers that can mean no alert: a form, field, pattern, severity, definition, target or tenant that there is not.';

CREATE OR REPLACE FUNCTION monitoring.tenant_of_matchers(p_matchers text[]) RETURNS bytea
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce(h.tenant_hk, t.tenant_hk)
      FROM unnest(p_matchers) AS u (matcher)
     CROSS JOIN LATERAL monitoring.parse_matcher(u.matcher) AS m
      LEFT JOIN monitoring.target_h h ON m.field = 'target' AND lower(h.target_name) = lower(m.operand)
      LEFT JOIN auth.tenant_h t ON m.field = 'tenant' AND encode(t.tenant_hk, 'hex') = lower(m.operand)
     WHERE m.operator = '=' AND coalesce(h.tenant_hk, t.tenant_hk) IS NOT NULL
     LIMIT 1
    $$;
COMMENT ON FUNCTION monitoring.tenant_of_matchers(text[]) IS 'The tenant that matchers name, itself or one of its targets; NULL: none.';

CREATE OR REPLACE VIEW monitoring.alert_facts AS
SELECT h.alert_instance_hk, h.alert_instance_bk, h.alert_definition_hk, h.target_name, h.tenant_hk, s.alert_status,
       jsonb_build_object(
           'definition', dh.alert_definition_bk, 'target', h.target_name, 'severity', coalesce(s.urgency_level, d.alert_severity),
           'category', d.alert_category, 'source', d.metric_source, 'tenant', encode(h.tenant_hk, 'hex'),
           'labels', h.labels || coalesce(s.trigger_details -> 'labels', '{}')) AS facts
  FROM monitoring.alert_instance_h h
  JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
  JOIN monitoring.alert_definition_h dh ON dh.alert_definition_hk = h.alert_definition_hk
  LEFT JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL;
COMMENT ON VIEW monitoring.alert_facts IS 'What matchers can name of each alert.';
COMMENT ON COLUMN monitoring.alert_facts.facts IS '{definition, target, severity, category, source (the definition''s metric_source), tenant, labels}.';

-- ---------------------------------------------------------------- what makes a mute usable

CREATE OR REPLACE FUNCTION monitoring.give_silence_short_id() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_code text := monitoring.short_code(NEW.silence_hk);
BEGIN
    IF NEW.short_id IS NULL THEN
        SELECT 'S-' || left(v_code, n) INTO NEW.short_id
          FROM generate_series(4, 8) AS n
         WHERE NOT EXISTS (SELECT FROM monitoring.silence_h h WHERE h.short_id = 'S-' || left(v_code, n))
         ORDER BY n
         LIMIT 1;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.give_silence_short_id() IS 'Trigger of silence_h: the shortest id of four to eight characters that is free.';
CREATE OR REPLACE TRIGGER t10_give_silence_short_id BEFORE INSERT ON monitoring.silence_h
    FOR EACH ROW EXECUTE FUNCTION monitoring.give_silence_short_id();

CREATE OR REPLACE FUNCTION monitoring.check_silence() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere: it was legal in its time
    END IF;
    IF coalesce(btrim(NEW.silence_comment), '') = '' THEN
        RAISE EXCEPTION 'silence: the comment is empty' USING ERRCODE = '22023', HINT = 'Say why nobody is to be told: a change, a ticket.';
    END IF;
    PERFORM monitoring.require_actor(NEW.silenced_by, 'silenced_by');
    IF NEW.ended_by IS NULL THEN
        -- What ends before its time may end a target or a definition later than they did.
        PERFORM monitoring.check_matchers('silence', NEW.matchers);
        IF NEW.ends_at <= NEW.starts_at THEN
            RAISE EXCEPTION 'silence: it ends at %, which is not after its beginning at %', NEW.ends_at, NEW.starts_at
                USING ERRCODE = '22023', HINT = 'Give an end that is later.';
        END IF;
        IF NEW.ends_at <= clock_timestamp() THEN
            RAISE EXCEPTION 'silence: its end, %, is over', NEW.ends_at USING ERRCODE = '22023', HINT = 'Give an end that is to come.';
        END IF;
        IF NEW.ends_at > greatest(NEW.starts_at, clock_timestamp()) + interval '30 days' THEN
            RAISE EXCEPTION 'silence: it ends at %, more than 30 days on', NEW.ends_at
                USING ERRCODE = '22023', HINT = 'Give an end within 30 days, and extend it when it is still needed. Who wants an alert never wants its definition disabled.';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_silence() IS 'Trigger of silence_s: refuses one without a reason, without an end within 30 days, or that can mean no alert.';
CREATE OR REPLACE TRIGGER t10_check_silence BEFORE INSERT ON monitoring.silence_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_silence();

CREATE OR REPLACE FUNCTION monitoring.check_maintenance() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_part text;
BEGIN
    IF NEW.load_end_date IS NOT NULL OR NEW.maintenance_state = 'REMOVED' THEN
        RETURN NEW;  -- what is history, or over, was legal in its time
    END IF;
    IF coalesce(btrim(NEW.maintenance_comment), '') = '' THEN
        RAISE EXCEPTION 'maintenance: the comment is empty' USING ERRCODE = '22023', HINT = 'Say why nobody is to be told: what is done then.';
    END IF;
    IF NEW.changed_via <> 'worker' THEN
        PERFORM monitoring.check_matchers('maintenance', NEW.matchers);
    END IF;
    IF NEW.duration_seconds NOT BETWEEN 60 AND 7 * 86400 THEN
        RAISE EXCEPTION 'maintenance: the duration is % s', NEW.duration_seconds USING ERRCODE = '22023', HINT = 'Give one from a minute to 7 days.';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_timezone_names z WHERE z.name = NEW.time_zone) THEN
        RAISE EXCEPTION 'maintenance: there is no time zone "%"', NEW.time_zone
            USING ERRCODE = '22023', HINT = 'Give one by its place, such as Europe/Berlin: SELECT name FROM pg_timezone_names.';
    END IF;
    -- The whole of RFC 5545 is the workers' to know; what they could never compute is refused here.
    FOREACH v_part IN ARRAY coalesce(string_to_array(NEW.rrule, ';'), '{}') LOOP
        IF v_part !~ '^(FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)|INTERVAL=[1-9][0-9]{0,3}|COUNT=[1-9][0-9]{0,3}|UNTIL=[0-9]{8}(T[0-9]{6}Z?)?|WKST=(MO|TU|WE|TH|FR|SA|SU)|BYDAY=[0-9A-Z+,-]+|BY(HOUR|MINUTE|MONTH|MONTHDAY|YEARDAY|WEEKNO|SETPOS)=[0-9,+-]+)$' THEN
            RAISE EXCEPTION 'maintenance: rrule holds "%"', v_part
                USING ERRCODE = '22023', HINT = 'Write a rule of RFC 5545 in capital letters without RRULE: in front, recurring daily at most: FREQ=WEEKLY;BYDAY=SU or FREQ=MONTHLY;BYDAY=1SA.';
        END IF;
    END LOOP;
    IF NEW.rrule IS NOT NULL AND NEW.rrule !~ '(^|;)FREQ=' THEN
        RAISE EXCEPTION 'maintenance: rrule "%" lacks its FREQ', NEW.rrule USING ERRCODE = '22023', HINT = 'Begin it with FREQ=DAILY, WEEKLY, MONTHLY or YEARLY.';
    END IF;
    IF NEW.rrule IS NULL AND NEW.windows IS NULL THEN
        NEW.windows := tstzmultirange(tstzrange(NEW.starts_on AT TIME ZONE NEW.time_zone,
                                                NEW.starts_on AT TIME ZONE NEW.time_zone + make_interval(secs => NEW.duration_seconds)));
        NEW.windows_until := 'infinity';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_maintenance() IS 'Trigger of maintenance_s: refuses one that could never be, and computes the window of one that does not recur.';
CREATE OR REPLACE TRIGGER t10_check_maintenance BEFORE INSERT ON monitoring.maintenance_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_maintenance();

CREATE OR REPLACE FUNCTION monitoring.check_inhibition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_field text;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;
    END IF;
    IF NOT EXISTS (SELECT FROM monitoring.alert_definition_h h WHERE h.alert_definition_bk = NEW.source_definition) THEN
        RAISE EXCEPTION 'inhibition: source_definition is "%", and there is no such definition', NEW.source_definition
            USING ERRCODE = '22023', HINT = 'Give the key of one: onevault definition list -o wide.';
    END IF;
    PERFORM monitoring.check_matchers('inhibition', NEW.muted_matchers);
    FOREACH v_field IN ARRAY NEW.equal_fields LOOP
        IF v_field NOT IN ('target', 'tenant', 'severity', 'category') AND v_field !~ '^label\.[A-Za-z_][A-Za-z0-9_]*$' THEN
            RAISE EXCEPTION 'inhibition: equal_fields holds "%"', v_field
                USING ERRCODE = '22023', HINT = 'Use target, tenant, severity, category or label.NAME.';
        END IF;
    END LOOP;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_inhibition() IS 'Trigger of inhibition_s: refuses one that could never take effect.';
CREATE OR REPLACE TRIGGER t10_check_inhibition BEFORE INSERT ON monitoring.inhibition_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_inhibition();

-- ---------------------------------------------------------------- as they stand

CREATE OR REPLACE VIEW monitoring.silence_current AS
SELECT h.silence_hk, h.short_id, s.matchers, s.starts_at, s.ends_at, s.include_critical, s.silence_comment, s.silenced_by, s.silenced_via,
       s.ended_by, h.load_date AS made_at, s.changed_by,
       CASE WHEN s.ends_at <= statement_timestamp() THEN 'ENDED' WHEN s.starts_at > statement_timestamp() THEN 'PLANNED' ELSE 'ACTIVE' END AS silence_state
  FROM monitoring.silence_h h
  JOIN monitoring.silence_s s ON s.silence_hk = h.silence_hk AND s.load_end_date IS NULL;
COMMENT ON VIEW monitoring.silence_current IS 'Every silence as it stands.';
COMMENT ON COLUMN monitoring.silence_current.made_at IS 'When it was made.';
COMMENT ON COLUMN monitoring.silence_current.silence_state IS 'PLANNED, ACTIVE or ENDED.';

CREATE OR REPLACE VIEW monitoring.maintenance_current AS
SELECT h.maintenance_hk, h.maintenance_name, s.maintenance_state, s.matchers, s.starts_on, s.duration_seconds, s.time_zone, s.rrule,
       s.maintenance_comment, s.include_critical, s.windows, s.windows_until, s.windows_error, s.changed_by, s.changed_via, s.load_date AS version
  FROM monitoring.maintenance_h h
  JOIN monitoring.maintenance_s s ON s.maintenance_hk = h.maintenance_hk AND s.load_end_date IS NULL;
COMMENT ON VIEW monitoring.maintenance_current IS 'Every maintenance as it stands, removed ones too.';
COMMENT ON COLUMN monitoring.maintenance_current.version IS 'Since when it stands like this.';

CREATE OR REPLACE VIEW monitoring.inhibition_current AS
SELECT h.inhibition_bk, s.source_definition, s.muted_matchers, s.equal_fields, s.is_enabled, s.inhibition_comment, s.changed_by, s.load_date AS version
  FROM monitoring.inhibition_h h
  JOIN monitoring.inhibition_s s ON s.inhibition_hk = h.inhibition_hk AND s.load_end_date IS NULL;
COMMENT ON VIEW monitoring.inhibition_current IS 'Every inhibition as it stands.';
COMMENT ON COLUMN monitoring.inhibition_current.version IS 'Since when it stands like this.';

-- ---------------------------------------------------------------- what mutes an alert

CREATE OR REPLACE FUNCTION monitoring.mutes_in_force(p_at timestamptz)
    RETURNS TABLE (mute_kind text, mute_id text, matchers text[], include_critical boolean, until timestamptz, muted_by text, comment text)
    LANGUAGE sql STABLE
    AS $$
    SELECT 'SILENCE', h.short_id::text, s.matchers, s.include_critical, s.ends_at, s.silenced_by::text, s.silence_comment
      FROM monitoring.silence_s s
      JOIN monitoring.silence_h h USING (silence_hk)
     WHERE s.load_end_date IS NULL AND s.starts_at <= p_at AND s.ends_at > p_at
    UNION ALL
    SELECT 'MAINTENANCE', h.maintenance_name::text, s.matchers, s.include_critical, upper(w), s.changed_by::text, s.maintenance_comment
      FROM monitoring.maintenance_s s
      JOIN monitoring.maintenance_h h USING (maintenance_hk)
     CROSS JOIN LATERAL unnest(s.windows) AS w
     WHERE s.load_end_date IS NULL AND s.maintenance_state = 'PLANNED' AND s.windows @> p_at AND w @> p_at
    $$;
COMMENT ON FUNCTION monitoring.mutes_in_force(timestamptz) IS 'The silences and the windows of maintenance that mute at a moment.';

CREATE OR REPLACE FUNCTION monitoring.inhibition_equals(p_equal_fields text[], p_source_facts jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT coalesce(jsonb_object_agg(n, p_source_facts -> n) FILTER (WHERE n NOT LIKE 'label.%'), '{}')
           || jsonb_build_object('labels', coalesce(
                  jsonb_object_agg(substr(n, 7), p_source_facts -> 'labels' -> substr(n, 7)) FILTER (WHERE n LIKE 'label.%'), '{}'))
      FROM unnest(p_equal_fields) AS n
    $$;
COMMENT ON FUNCTION monitoring.inhibition_equals(text[], jsonb) IS
    'What the facts of an alert must contain for one with these facts to speak for it: the same values of these fields.';

CREATE OR REPLACE FUNCTION monitoring.speaks_for(p_source_definition text, p_equals jsonb, p_muted_matchers text[], p_facts jsonb) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT p_facts @> p_equals AND p_facts ->> 'definition' <> p_source_definition AND monitoring.matches(p_muted_matchers, p_facts)
    $$;
COMMENT ON FUNCTION monitoring.speaks_for(text, jsonb, text[], jsonb) IS
    'Whether an active alert of a definition mutes one with these facts, by an inhibition with these matchers; p_equals as of inhibition_equals().';

CREATE OR REPLACE FUNCTION monitoring.inhibitors()
    RETURNS TABLE (inhibition_bk text, muted_matchers text[], source_definition text, source_hk bytea, source_facts jsonb, equals jsonb)
    LANGUAGE sql STABLE
    AS $$
    SELECT i.inhibition_bk::text, i.muted_matchers, i.source_definition::text, f.alert_instance_hk, f.facts,
           monitoring.inhibition_equals(i.equal_fields, f.facts)
      FROM monitoring.inhibition_current i
      JOIN monitoring.alert_facts f ON f.alert_definition_hk = util.hash_binary(i.source_definition::text)
     WHERE i.is_enabled AND f.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
    $$;
COMMENT ON FUNCTION monitoring.inhibitors() IS
    'The active alerts that speak for others. equals is what the facts of a muted alert must contain.';

CREATE OR REPLACE FUNCTION monitoring.anything_inhibits() RETURNS boolean
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_source bytea;
BEGIN
    -- Source by source, and the state looked up alert by alert: as one join it would read all that is active.
    FOR v_source IN
        SELECT util.hash_binary(i.source_definition::text) FROM monitoring.inhibition_s i WHERE i.load_end_date IS NULL AND i.is_enabled
    LOOP
        IF EXISTS (SELECT
                     FROM monitoring.alert_instance_h h
                    WHERE h.alert_definition_hk = v_source
                      AND (SELECT s.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED')
                             FROM monitoring.alert_instance_s s
                            WHERE s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL)) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
COMMENT ON FUNCTION monitoring.anything_inhibits() IS 'Whether an alert is active that speaks for others.';

CREATE OR REPLACE FUNCTION monitoring.mutes_of(p_alert_keys text[], p_at timestamptz DEFAULT clock_timestamp())
    RETURNS TABLE (alert_key text, mute_kind text, mute_id text, until timestamptz, muted_by text, comment text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
DECLARE
    v_inhibits boolean := monitoring.anything_inhibits();
BEGIN
    -- Most of the time nothing is muted, and asking must cost next to nothing: it is asked before every message.
    IF NOT v_inhibits AND NOT EXISTS (SELECT FROM monitoring.mutes_in_force(p_at)) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH asked AS MATERIALIZED (
        SELECT f.alert_instance_bk::text AS alert_key, f.facts
          FROM monitoring.alert_facts f
         WHERE f.alert_instance_hk IN (SELECT util.hash_binary(k) FROM unnest(p_alert_keys) AS k)
    ),
    kinds AS MATERIALIZED (
        -- Thousands of alerts of one group have the same facts: each kind is judged once.
        SELECT DISTINCT a.facts FROM asked a
    ),
    in_force AS MATERIALIZED (SELECT * FROM monitoring.mutes_in_force(p_at)),
    planned AS MATERIALIZED (
        SELECT DISTINCT ON (k.facts) k.facts, m.mute_kind, m.mute_id, m.until, m.muted_by, m.comment
          FROM kinds k
          JOIN in_force m ON (m.include_critical OR k.facts ->> 'severity' <> 'CRITICAL') AND monitoring.matches(m.matchers, k.facts)
         ORDER BY k.facts, m.until DESC
    ),
    inhibited AS (
        SELECT DISTINCT ON (k.facts) k.facts, i.inhibition_bk, i.source_definition, i.source_facts, i.source_hk
          FROM kinds k
          JOIN monitoring.inhibitors() AS i
            ON monitoring.speaks_for(i.source_definition, i.equals, i.muted_matchers, k.facts)
         WHERE v_inhibits AND NOT EXISTS (SELECT FROM planned p WHERE p.facts = k.facts)
           -- Of a source that is silenced itself nobody hears, so it speaks for nobody.
           AND NOT EXISTS (SELECT FROM in_force m
                            WHERE (m.include_critical OR i.source_facts ->> 'severity' <> 'CRITICAL') AND monitoring.matches(m.matchers, i.source_facts))
         ORDER BY k.facts, i.inhibition_bk, i.source_hk
    )
    SELECT a.alert_key, p.mute_kind, p.mute_id, p.until, p.muted_by, p.comment
      FROM asked a JOIN planned p ON p.facts = a.facts
    UNION ALL
    SELECT a.alert_key, 'INHIBITION', i.inhibition_bk, NULL, monitoring.alert_short_id(i.source_hk),
           format('%s on %s says it already', i.source_definition, i.source_facts ->> 'target')
      FROM asked a JOIN inhibited i ON i.facts = a.facts;
END
$$;
COMMENT ON FUNCTION monitoring.mutes_of(text[], timestamptz) IS
    'What mutes the alerts with these business keys: of several silences and windows the one that lasts longest, without them an inhibition. until NULL: as long as the alert muted_by is active. Alerts that nothing mutes are not among the rows.';

CREATE OR REPLACE FUNCTION monitoring.would_mute(p_matchers text[], p_include_critical boolean DEFAULT false)
    RETURNS TABLE (what text, id text, name text, target text, severity text, muted boolean)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM monitoring.check_matchers('silence', p_matchers);
    RETURN QUERY
    SELECT 'ALERT', monitoring.alert_short_id(f.alert_instance_hk), d.alert_name::text, f.target_name::text, f.facts ->> 'severity',
           (p_include_critical OR f.facts ->> 'severity' <> 'CRITICAL')
      FROM monitoring.alert_facts f
      JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = f.alert_definition_hk AND d.load_end_date IS NULL
     WHERE f.alert_status IN ('OPEN', 'ACKNOWLEDGED', 'ESCALATED') AND monitoring.matches(p_matchers, f.facts)
    UNION ALL
    -- What could fire: every enabled definition on every target where it is evaluated.
    SELECT 'DEFINITION', h.alert_definition_bk::text, d.alert_name::text, t.target_name, d.alert_severity::text,
           monitoring.matches(p_matchers, jsonb_build_object(
               'definition', h.alert_definition_bk, 'target', t.target_name, 'severity', d.alert_severity, 'category', d.alert_category,
               'source', d.metric_source, 'tenant', encode(coalesce(h.tenant_hk, t.tenant_hk), 'hex'), 'labels', jsonb '{}'))
           AND (p_include_critical OR d.alert_severity <> 'CRITICAL')
      FROM monitoring.alert_definition_s d
      JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
     CROSS JOIN (SELECT 'local' AS target_name, NULL::bytea AS tenant_hk
                  UNION ALL
                 SELECT c.target_name::text, c.tenant_hk FROM monitoring.target_current c WHERE c.target_state <> 'REMOVED') AS t
     WHERE d.load_end_date IS NULL AND d.is_enabled
       AND (t.target_name = 'local' OR d.metric_source <> ALL (monitoring.sources_of_the_vault() || ARRAY['worker', 'external']));
END
$$;
COMMENT ON FUNCTION monitoring.would_mute(text[], boolean) IS
    'The preview of a silence: the open alerts that match it (muted false: spared, because they are CRITICAL), and all that can fire, with whether it would be muted.';

-- ---------------------------------------------------------------- news for the workflows

CREATE OR REPLACE FUNCTION monitoring.tell_muted(p_matchers text[], p_target text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- One alert of a group is enough: its workflow then asks about all that it carries.
    WITH kinds AS MATERIALIZED (
        SELECT DISTINCT ON (f.alert_definition_hk, f.target_name, f.tenant_hk, f.facts)
               f.alert_definition_hk, f.target_name, f.tenant_hk, f.facts, f.alert_instance_hk
          FROM monitoring.alert_facts f
         WHERE f.alert_status IN ('OPEN', 'ESCALATED') AND (p_target IS NULL OR f.target_name = p_target)
    )
    INSERT INTO monitoring.outbox (kind, target_name, alert_instance_hk, payload)
    SELECT DISTINCT ON (k.alert_definition_hk, k.target_name, k.tenant_hk) 'MUTES', k.target_name, k.alert_instance_hk,
           jsonb_build_object('at', clock_timestamp())
      FROM kinds k
     WHERE monitoring.matches(p_matchers, k.facts);
    IF FOUND THEN
        PERFORM pg_notify('onevault_outbox', '');
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.tell_muted(text[], text) IS
    'Has the workflows of the unanswered alerts that match ask again what mutes them; takes effect with the transaction.';

CREATE OR REPLACE FUNCTION monitoring.tell_of_silence() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    IF NEW.load_end_date IS NULL THEN
        PERFORM monitoring.tell_muted(NEW.matchers);
        INSERT INTO monitoring.outbox (kind, payload) VALUES ('SILENCE', jsonb_build_object('silence', encode(NEW.silence_hk, 'hex')));
        PERFORM pg_notify('onevault_outbox', '');
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_of_silence() IS 'Trigger of silence_s: workflows hear of a silence that is made, extended or ended, in the same transaction.';
CREATE OR REPLACE TRIGGER t90_tell_of_silence AFTER INSERT ON monitoring.silence_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.tell_of_silence();

CREATE OR REPLACE FUNCTION monitoring.tell_of_maintenance() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    -- A window that begins or ends with time is seen when somebody would be told; this is for the change.
    IF NEW.load_end_date IS NULL THEN
        PERFORM monitoring.tell_muted(NEW.matchers);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_of_maintenance() IS 'Trigger of maintenance_s: workflows hear of a maintenance that is planned or removed, in the same transaction.';
CREATE OR REPLACE TRIGGER t90_tell_of_maintenance AFTER INSERT ON monitoring.maintenance_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.tell_of_maintenance();

CREATE OR REPLACE FUNCTION monitoring.tell_of_inhibition() RETURNS trigger
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    IF NEW.load_end_date IS NULL THEN
        PERFORM monitoring.tell_muted(NEW.muted_matchers);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_of_inhibition() IS 'Trigger of inhibition_s: workflows hear of a change, in the same transaction.';
CREATE OR REPLACE TRIGGER t90_tell_of_inhibition AFTER INSERT ON monitoring.inhibition_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.tell_of_inhibition();

CREATE OR REPLACE FUNCTION monitoring.tell_inhibited() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_inhibition record;
BEGIN
    FOR v_inhibition IN
        SELECT i.muted_matchers, CASE WHEN 'target' = ANY (i.equal_fields) THEN h.target_name END AS target
          FROM monitoring.alert_instance_h h
          JOIN monitoring.alert_definition_h dh USING (alert_definition_hk)
          JOIN monitoring.inhibition_s i ON i.source_definition = dh.alert_definition_bk
         WHERE h.alert_instance_hk = NEW.alert_instance_hk AND i.load_end_date IS NULL AND i.is_enabled
    LOOP
        PERFORM monitoring.tell_muted(v_inhibition.muted_matchers, v_inhibition.target);
    END LOOP;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_inhibited() IS
    'Trigger of alert_instance_s: when an alert that speaks for others opens or ends, their workflows ask again.';
-- Not for a version that only counts messages. One that was written by hand may have its source from the version before.
CREATE OR REPLACE TRIGGER t90_tell_inhibited AFTER INSERT ON monitoring.alert_instance_s
    FOR EACH ROW WHEN (
        NEW.load_end_date IS NULL AND NEW.alert_status IN ('OPEN', 'RESOLVED')
        AND NOT (NEW.record_source = 'NOTIFICATION_MANAGER'
                 AND (NEW.alert_status = 'OPEN' OR coalesce(NEW.last_notification_sent >= NEW.resolved_timestamp, false))))
    EXECUTE FUNCTION monitoring.tell_inhibited();

-- ---------------------------------------------------------------- what people do

CREATE OR REPLACE FUNCTION monitoring.find_silence(p_id text) RETURNS bytea
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_hk bytea;
BEGIN
    SELECT h.silence_hk INTO v_hk
      FROM monitoring.silence_h h
     WHERE h.short_id = 'S-' || translate(upper(regexp_replace(btrim(p_id), '^(silence/)?[sS]-', '')), 'OIL', '011');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no silence "%"', p_id USING ERRCODE = 'P0002', HINT = 'See them: onevault silence list --all.';
    END IF;
    RETURN v_hk;
END
$$;
COMMENT ON FUNCTION monitoring.find_silence(text) IS 'Finds a silence by its short id, S-7F3K; raises P0002 where there is none.';

DROP FUNCTION IF EXISTS monitoring.add_silence(text[], timestamptz, text, timestamptz, boolean, text, text);

CREATE OR REPLACE FUNCTION monitoring.add_silence(
    p_matchers text[], p_ends_at timestamptz, p_comment text, p_starts_at timestamptz DEFAULT NULL,
    p_include_critical boolean DEFAULT false, p_by text DEFAULT session_user, p_via text DEFAULT NULL, p_request text DEFAULT NULL) RETURNS text
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_bk text := 'SILENCE||' || coalesce(encode(sha256(convert_to(p_request, 'UTF8')), 'hex'), gen_random_uuid()::text);
    v_id text;
BEGIN
    INSERT INTO monitoring.silence_h (silence_hk, silence_bk, tenant_hk)
    VALUES (util.hash_binary(v_bk), v_bk, monitoring.tenant_of_matchers(p_matchers))
    ON CONFLICT (silence_hk) DO NOTHING
    RETURNING short_id INTO v_id;
    IF v_id IS NULL THEN
        -- The same request, sent again; what became of the silence since then stays.
        RETURN (SELECT h.short_id FROM monitoring.silence_h h WHERE h.silence_hk = util.hash_binary(v_bk));
    END IF;
    INSERT INTO monitoring.silence_s (
        silence_hk, hash_diff, matchers, starts_at, ends_at, silence_comment, include_critical, silenced_by, silenced_via)
    VALUES (util.hash_binary(v_bk), '\x', p_matchers, coalesce(p_starts_at, clock_timestamp()), p_ends_at, p_comment, p_include_critical, p_by,
        coalesce(p_via, 'psql:' || session_user));
    RETURN v_id;
END
$$;
COMMENT ON FUNCTION monitoring.add_silence(text[], timestamptz, text, timestamptz, boolean, text, text, text) IS
    'Mutes what matches until p_ends_at, from now or from p_starts_at on; returns the short id. p_request names the wish: given again, it makes no second silence. For example: SELECT monitoring.add_silence(''{target=pg-prod-3}'', now() + ''2 hours'', ''CHG-812'').';

CREATE OR REPLACE FUNCTION monitoring.extend_silence(p_id text, p_ends_at timestamptz, p_by text DEFAULT session_user) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c monitoring.silence_s;
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    SELECT * INTO c FROM monitoring.silence_s WHERE silence_hk = monitoring.find_silence(p_id) AND load_end_date IS NULL FOR UPDATE;
    IF c.ends_at <= clock_timestamp() THEN
        RAISE EXCEPTION 'silence % ended at %', p_id, c.ends_at USING ERRCODE = '55000', HINT = 'Make a new one: who was told meanwhile knows.';
    END IF;
    IF c.ends_at = p_ends_at THEN
        RETURN false;
    END IF;
    c.ends_at := p_ends_at;
    c.changed_by := p_by;
    c.load_date := clock_timestamp();
    INSERT INTO monitoring.silence_s SELECT (c).*;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.extend_silence(text, timestamptz, text) IS 'Gives a silence another end, at most 30 days on; false: it had that one.';

CREATE OR REPLACE FUNCTION monitoring.end_silence(p_id text, p_by text DEFAULT session_user) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c monitoring.silence_s;
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    SELECT * INTO c FROM monitoring.silence_s WHERE silence_hk = monitoring.find_silence(p_id) AND load_end_date IS NULL FOR UPDATE;
    IF c.ends_at <= clock_timestamp() THEN
        RETURN false;
    END IF;
    c.ends_at := clock_timestamp();
    c.starts_at := least(c.starts_at, c.ends_at);
    c.ended_by := p_by;
    c.changed_by := p_by;
    c.load_date := c.ends_at;
    INSERT INTO monitoring.silence_s SELECT (c).*;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.end_silence(text, text) IS
    'Ends a silence now: who is to be told of what it muted is told at once. false: it had ended before.';

CREATE OR REPLACE FUNCTION monitoring.current_maintenance(p_name text) RETURNS monitoring.maintenance_s
    LANGUAGE plpgsql
    AS $$
DECLARE
    c monitoring.maintenance_s;
BEGIN
    SELECT * INTO c FROM monitoring.maintenance_s
     WHERE maintenance_hk = util.hash_binary(util.bk('MAINTENANCE', p_name)) AND load_end_date IS NULL AND maintenance_state = 'PLANNED'
       FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no maintenance "%"', p_name USING ERRCODE = 'P0002', HINT = 'See them: onevault maintenance list.';
    END IF;
    RETURN c;
END
$$;
COMMENT ON FUNCTION monitoring.current_maintenance(text) IS 'The current version of a maintenance that was not removed, locked; raises P0002 where there is none.';

CREATE OR REPLACE FUNCTION monitoring.add_maintenance(
    p_name text, p_matchers text[], p_starts_on timestamp, p_duration interval, p_comment text, p_rrule text DEFAULT NULL,
    p_time_zone text DEFAULT 'UTC', p_include_critical boolean DEFAULT false, p_by text DEFAULT session_user, p_via text DEFAULT NULL,
    p_windows tstzmultirange DEFAULT NULL, p_windows_until timestamptz DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    v_bk text := util.bk('MAINTENANCE', p_name);
    v_hk bytea := util.hash_binary(v_bk);
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    IF coalesce(p_name, '') !~ '^[A-Za-z0-9][A-Za-z0-9._-]*$' OR length(p_name) > 63 THEN
        RAISE EXCEPTION 'maintenance: the name is "%"', p_name
            USING ERRCODE = '22023', HINT = 'Use up to 63 letters, digits and . _ -, beginning with a letter or digit: sunday-patching';
    END IF;
    INSERT INTO monitoring.maintenance_h (maintenance_hk, maintenance_bk, tenant_hk, maintenance_name)
    SELECT v_hk, v_bk, monitoring.tenant_of_matchers(p_matchers), p_name
     WHERE NOT EXISTS (SELECT FROM monitoring.maintenance_h WHERE maintenance_hk = v_hk);
    PERFORM FROM monitoring.maintenance_h WHERE maintenance_hk = v_hk FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM monitoring.maintenance_s WHERE maintenance_hk = v_hk AND load_end_date IS NULL AND maintenance_state = 'PLANNED') THEN
        RAISE EXCEPTION 'maintenance "%" is there already', p_name USING ERRCODE = '22023', HINT = 'Remove it first, or choose another name.';
    END IF;
    INSERT INTO monitoring.maintenance_s (
        maintenance_hk, hash_diff, matchers, starts_on, duration_seconds, time_zone, rrule, maintenance_comment, include_critical,
        windows, windows_until, changed_by, changed_via)
    VALUES (v_hk, '\x', p_matchers, p_starts_on, extract(epoch FROM p_duration)::integer, p_time_zone, nullif(p_rrule, ''), p_comment, p_include_critical,
        p_windows, p_windows_until, p_by, coalesce(p_via, 'psql:' || session_user));
END
$$;
COMMENT ON FUNCTION monitoring.add_maintenance(text, text[], timestamp, interval, text, text, text, boolean, text, text, tstzmultirange, timestamptz) IS
    'Plans a maintenance: from p_starts_on by the clocks of p_time_zone, for p_duration, once or as p_rrule says. Without p_windows, workers compute the windows of one that recurs within seconds.';

CREATE OR REPLACE FUNCTION monitoring.remove_maintenance(p_name text, p_by text DEFAULT session_user) RETURNS void
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c monitoring.maintenance_s := monitoring.current_maintenance(p_name);
BEGIN
    PERFORM monitoring.require_actor(p_by, 'p_by');
    c.maintenance_state := 'REMOVED';
    c.changed_by := p_by;
    c.changed_via := 'psql:' || session_user;
    c.load_date := clock_timestamp();
    INSERT INTO monitoring.maintenance_s SELECT (c).*;
END
$$;
COMMENT ON FUNCTION monitoring.remove_maintenance(text, text) IS 'Ends a maintenance and all its windows to come; its history stays.';

CREATE OR REPLACE FUNCTION monitoring.write_windows(
    p_name text, p_version timestamptz, p_windows tstzmultirange, p_until timestamptz, p_error text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    c monitoring.maintenance_s;
BEGIN
    SELECT * INTO c FROM monitoring.maintenance_s
     WHERE maintenance_hk = util.hash_binary(util.bk('MAINTENANCE', p_name)) AND load_end_date IS NULL FOR UPDATE;
    IF c.load_date IS DISTINCT FROM p_version OR c.maintenance_state <> 'PLANNED' THEN
        RETURN false;  -- somebody changed it meanwhile
    END IF;
    c.windows := p_windows;
    c.windows_until := p_until;
    c.windows_error := p_error;
    c.changed_via := 'worker';
    c.load_date := clock_timestamp();
    INSERT INTO monitoring.maintenance_s SELECT (c).*;
    RETURN true;
END
$$;
COMMENT ON FUNCTION monitoring.write_windows(text, timestamptz, tstzmultirange, timestamptz, text) IS
    'Writes the windows of a maintenance ahead, unless its version is another one by now.';
