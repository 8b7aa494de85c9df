-- The life of an incident: which change of status is legal, and every way to change it. Derived columns
-- (minutes, breaches) and facts for the workflow are written by triggers, so that an INSERT by hand is
-- guarded, computed and heard like everything else. Timing is the workflow's; no number depends on it.

CREATE OR REPLACE FUNCTION monitoring.incident_transition_allowed(p_from text, p_to text) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    -- CLOSED comes after RESOLVED alone: every incident that is over has a resolution, and a time of it.
    SELECT (p_from, p_to) IN (
        ('OPEN', 'INVESTIGATING'), ('OPEN', 'RESOLVED'),
        ('INVESTIGATING', 'RESOLVED'),
        ('RESOLVED', 'INVESTIGATING'), ('RESOLVED', 'CLOSED'))
    $$;
COMMENT ON FUNCTION monitoring.incident_transition_allowed(text, text) IS
    'The one place that says which change of an incident''s status is legal.';

CREATE OR REPLACE FUNCTION monitoring.incident_response_limit() RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT interval '30 minutes' $$;
COMMENT ON FUNCTION monitoring.incident_response_limit() IS 'How long an incident may be OPEN.';

CREATE OR REPLACE FUNCTION monitoring.incident_resolution_limit() RETURNS interval
    LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT interval '4 hours' $$;
COMMENT ON FUNCTION monitoring.incident_resolution_limit() IS 'How long after its creation an incident may be unresolved.';

CREATE OR REPLACE FUNCTION monitoring.incident_sla_status(p_status text, p_created timestamptz, p_at timestamptz) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN p_status = 'OPEN' AND p_at - p_created > monitoring.incident_response_limit() THEN 'OVERDUE_RESPONSE'
                WHEN p_status = 'INVESTIGATING' AND p_at - p_created > monitoring.incident_resolution_limit() THEN 'OVERDUE_RESOLUTION'
                ELSE 'ON_TRACK' END
    $$;
COMMENT ON FUNCTION monitoring.incident_sla_status(text, timestamptz, timestamptz) IS
    'How an incident stands to its limits at a moment: OVERDUE_RESPONSE, OVERDUE_RESOLUTION or ON_TRACK.';

CREATE OR REPLACE FUNCTION monitoring.incident_priority(p_severity text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE p_severity WHEN 'CRITICAL' THEN 'P1' WHEN 'HIGH' THEN 'P2' WHEN 'MEDIUM' THEN 'P3' ELSE 'P4' END $$;
COMMENT ON FUNCTION monitoring.incident_priority(text) IS 'P1 for CRITICAL to P4 for LOW.';

CREATE OR REPLACE FUNCTION monitoring.whole_minutes(p_from timestamptz, p_to timestamptz) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT greatest(floor(extract(epoch FROM p_to - p_from) / 60), 0)::integer $$;
COMMENT ON FUNCTION monitoring.whole_minutes(timestamptz, timestamptz) IS
    'Full minutes between two moments, never fewer than none: two clocks may disagree.';

-- ---------------------------------------------------------------- ids

CREATE OR REPLACE FUNCTION monitoring.give_incident_short_id() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_code text := monitoring.short_code(NEW.incident_hk);
BEGIN
    IF NEW.short_id IS NOT NULL THEN
        RETURN NEW;
    END IF;
    -- One giver at a time: two new incidents must not see the same id free.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.incident_short_id', 0));
    IF EXISTS (SELECT FROM monitoring.incident_h h WHERE h.incident_hk = NEW.incident_hk) THEN
        RETURN NEW;  -- the same incident again: the INSERT ends in its own conflict
    END IF;
    SELECT 'I-' || left(v_code, n) INTO NEW.short_id
      FROM generate_series(4, 8) AS n
     WHERE NOT EXISTS (SELECT FROM monitoring.incident_h h WHERE h.short_id = 'I-' || left(v_code, n))
     ORDER BY n
     LIMIT 1;
    IF NEW.short_id IS NULL THEN
        RAISE EXCEPTION 'all ids from I-% to I-% are taken', left(v_code, 4), v_code
            USING ERRCODE = '22023', HINT = 'Create the incident again with another title or set of alerts, or give a short_id.';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.give_incident_short_id() IS 'Trigger of incident_h: the shortest id of four to eight characters that is free.';
CREATE OR REPLACE TRIGGER t10_give_incident_short_id BEFORE INSERT ON monitoring.incident_h
    FOR EACH ROW EXECUTE FUNCTION monitoring.give_incident_short_id();

CREATE OR REPLACE FUNCTION monitoring.incident_short_id(p_incident_hk bytea) RETURNS text
    LANGUAGE sql STABLE STRICT
    AS $$
    SELECT coalesce((SELECT h.short_id FROM monitoring.incident_h h WHERE h.incident_hk = p_incident_hk),
                    'I-' || monitoring.short_code(p_incident_hk))
    $$;
COMMENT ON FUNCTION monitoring.incident_short_id(bytea) IS 'What people type for an incident: I-7F3K.';

CREATE OR REPLACE FUNCTION monitoring.find_incident(p_id text) RETURNS bytea
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_id      text := regexp_replace(btrim(p_id), '^incident/', '');
    v_code    text := translate(upper(regexp_replace(v_id, '^[iI]-', '')), 'OIL', '011');
    v_matches bytea[];
BEGIN
    IF v_id ~ '^(\\x)?[0-9a-fA-F]{64}$' THEN
        SELECT array_agg(incident_hk) INTO v_matches FROM monitoring.incident_h
         WHERE incident_hk = decode(right(v_id, 64), 'hex');
    ELSIF v_code ~ '^[0-9A-HJKMNP-TV-Z]{4,8}$' THEN
        -- An id that was given means its incident alone, also where a longer one begins with it.
        SELECT array_agg(incident_hk) INTO v_matches FROM monitoring.incident_h WHERE short_id = 'I-' || v_code;
        IF v_matches IS NULL THEN
            SELECT array_agg(incident_hk) INTO v_matches FROM monitoring.incident_h
             WHERE monitoring.short_code(incident_hk) LIKE v_code || '%';
        END IF;
    ELSE
        SELECT array_agg(incident_hk) INTO v_matches FROM monitoring.incident_h WHERE incident_bk = v_id;
    END IF;

    IF v_matches IS NULL THEN
        RAISE EXCEPTION 'no incident "%"', p_id
            USING ERRCODE = 'P0002', HINT = 'See the open incidents: onevault incident list, or SELECT * FROM monitoring.incident_summary_dashboard.';
    END IF;
    IF cardinality(v_matches) > 1 THEN
        RAISE EXCEPTION 'incident id "%" is ambiguous: %', p_id,
            (SELECT string_agg(monitoring.incident_short_id(m), ', ' ORDER BY m) FROM unnest(v_matches) AS m)
            USING ERRCODE = 'P0003', HINT = 'Give more of the id.';
    END IF;
    RETURN v_matches[1];
END
$$;
COMMENT ON FUNCTION monitoring.find_incident(text) IS
    'Finds an incident by short id (I-7F3K or longer), workflow id, hash key in hex, or business key; raises P0002 (none) or P0003 (several).';

CREATE INDEX IF NOT EXISTS incident_h_short_code
    ON monitoring.incident_h (monitoring.short_code(incident_hk) text_pattern_ops);
CREATE INDEX IF NOT EXISTS outbox_incident_unrelayed
    ON monitoring.outbox (incident_hk) WHERE relayed_at IS NULL AND incident_hk IS NOT NULL;

-- ---------------------------------------------------------------- the guard, and what follows from the times

CREATE OR REPLACE FUNCTION monitoring.lock_current_incident(p_incident_hk bytea) RETURNS monitoring.incident_s
    LANGUAGE plpgsql
    AS $$
DECLARE
    c monitoring.incident_s;
BEGIN
    -- Everybody queues at the hub, also whoever INSERTs by hand (the trigger below), so the current version is current.
    PERFORM FROM monitoring.incident_h h WHERE h.incident_hk = p_incident_hk FOR NO KEY UPDATE;
    SELECT * INTO c FROM monitoring.incident_s s WHERE s.incident_hk = p_incident_hk AND s.load_end_date IS NULL;
    RETURN c;
END
$$;
COMMENT ON FUNCTION monitoring.lock_current_incident(bytea) IS
    'The current version of an incident, kept until the transaction ends; NULLs when there is none.';

CREATE OR REPLACE FUNCTION monitoring.check_incident() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    c             monitoring.incident_s;
    v_at          timestamptz := coalesce(NEW.changed_at, clock_timestamp());
    v_answered_at timestamptz;
    v_answered_by text;
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NEW;  -- a version that is history already, loaded from elsewhere
    END IF;
    c := monitoring.lock_current_incident(NEW.incident_hk);
    IF c.incident_status <> NEW.incident_status AND NOT monitoring.incident_transition_allowed(c.incident_status, NEW.incident_status) THEN
        RAISE EXCEPTION 'incident_status of % is % and cannot become %',
            monitoring.incident_short_id(NEW.incident_hk), c.incident_status, NEW.incident_status
            USING ERRCODE = '55000', HINT = 'Legal are OPEN to INVESTIGATING or RESOLVED, INVESTIGATING to RESOLVED, RESOLVED to INVESTIGATING (reopened) or CLOSED.';
    END IF;

    IF NEW.changed_by IS NULL THEN
        NEW.changed_by := session_user;
        NEW.changed_via := coalesce(NEW.changed_via, 'psql:' || session_user);
    END IF;
    IF c.incident_status = 'RESOLVED' AND NEW.incident_status = 'INVESTIGATING' THEN
        NEW.reopened_at := v_at;
        NEW.resolved_timestamp := NULL;
        NEW.resolved_by := NULL;
        NEW.resolution_summary := NULL;
    END IF;
    -- To resolve is to respond as well.
    IF NEW.incident_status <> 'OPEN' THEN
        NEW.first_response_by := coalesce(NEW.first_response_by, c.first_response_by, NEW.changed_by);
        NEW.first_response_timestamp := coalesce(NEW.first_response_timestamp, c.first_response_timestamp, NEW.resolved_timestamp, v_at);
    END IF;
    IF c.incident_status = 'OPEN' THEN
        -- Somebody may have answered one of its alerts before, and no worker ran to say so.
        SELECT i.alert_acknowledged_at, i.alert_acknowledged_by INTO v_answered_at, v_answered_by
          FROM monitoring.incident_current i
         WHERE i.incident_hk = NEW.incident_hk;
        IF v_answered_at < NEW.first_response_timestamp THEN
            NEW.first_response_timestamp := v_answered_at;
            NEW.first_response_by := v_answered_by;
        END IF;
    END IF;
    IF NEW.incident_status IN ('RESOLVED', 'CLOSED') THEN
        NEW.resolved_by := coalesce(NEW.resolved_by, c.resolved_by, NEW.changed_by);
        NEW.resolved_timestamp := coalesce(NEW.resolved_timestamp, c.resolved_timestamp, v_at);
    END IF;
    IF NEW.incident_status = 'CLOSED' THEN
        NEW.closed_by := coalesce(NEW.closed_by, c.closed_by, NEW.changed_by);
        NEW.closed_timestamp := coalesce(NEW.closed_timestamp, c.closed_timestamp, v_at);
    END IF;

    NEW.response_time_minutes := monitoring.whole_minutes(NEW.created_timestamp, NEW.first_response_timestamp);
    NEW.resolution_time_minutes := monitoring.whole_minutes(NEW.created_timestamp, NEW.resolved_timestamp);
    -- From the times alone: late is late, whether or not a timer ran to say so.
    IF coalesce(NEW.first_response_timestamp, v_answered_at, v_at) - NEW.created_timestamp > monitoring.incident_response_limit() THEN
        NEW.response_breached_at := NEW.created_timestamp + monitoring.incident_response_limit();
    END IF;
    IF coalesce(NEW.resolved_timestamp, v_at) - NEW.created_timestamp > monitoring.incident_resolution_limit() THEN
        NEW.resolution_breached_at := NEW.created_timestamp + monitoring.incident_resolution_limit();
    END IF;
    NEW.response_breached_at := coalesce(NEW.response_breached_at, c.response_breached_at);
    NEW.resolution_breached_at := coalesce(NEW.resolution_breached_at, c.resolution_breached_at);
    NEW.sla_breach := coalesce(NEW.sla_breach, false) OR coalesce(c.sla_breach, false)
                      OR NEW.response_breached_at IS NOT NULL OR NEW.resolution_breached_at IS NOT NULL;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_incident() IS
    'Trigger of incident_s: refuses an illegal change of status; computes minutes and breaches from the times; fills in who and when.';
CREATE OR REPLACE TRIGGER t10_check_incident BEFORE INSERT ON monitoring.incident_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_incident();

CREATE OR REPLACE FUNCTION monitoring.check_incident_note() RETURNS trigger
    LANGUAGE plpgsql
    SET timezone = 'UTC'
    AS $$
BEGIN
    PERFORM monitoring.require_actor(NEW.author, 'author');
    IF btrim(NEW.note_text) = '' THEN
        RAISE EXCEPTION 'note_text is empty' USING ERRCODE = '22023', HINT = 'Write what the others should know.';
    END IF;
    NEW.hash_diff := monitoring.hash_diff_of(to_jsonb(NEW), 'incident_hk');
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION monitoring.check_incident_note() IS 'Trigger of incident_note_s: refuses an empty note, computes hash_diff.';
CREATE OR REPLACE TRIGGER t10_check_incident_note BEFORE INSERT ON monitoring.incident_note_s
    FOR EACH ROW EXECUTE FUNCTION monitoring.check_incident_note();

-- ---------------------------------------------------------------- facts for the workflow

CREATE OR REPLACE FUNCTION monitoring.tell_incident(p_kind text, p_incident_hk bytea, p_payload jsonb) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO monitoring.outbox (kind, incident_hk, payload)
    VALUES (p_kind, p_incident_hk, jsonb_strip_nulls(p_payload));
    SELECT pg_notify('onevault_outbox', '');
    $$;
COMMENT ON FUNCTION monitoring.tell_incident(text, bytea, jsonb) IS
    'Puts a fact about an incident into the outbox and wakes the relay; takes effect with the transaction.';

CREATE OR REPLACE FUNCTION monitoring.tell_incident_of_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NULL;  -- history that came back is no news
    END IF;
    PERFORM monitoring.tell_incident(
        CASE WHEN EXISTS (SELECT FROM monitoring.incident_s s WHERE s.incident_hk = NEW.incident_hk AND s.load_date < NEW.load_date)
             THEN 'CHANGED' ELSE 'CREATED' END,
        NEW.incident_hk,
        jsonb_build_object('status', NEW.incident_status, 'actor', NEW.changed_by, 'via', NEW.changed_via,
                           'at', coalesce(NEW.changed_at, NEW.load_date)));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_incident_of_change() IS
    'Trigger of incident_s: the workflow hears of every version that it did not write itself.';
CREATE OR REPLACE TRIGGER t70_tell_incident_of_change AFTER INSERT ON monitoring.incident_s
    FOR EACH ROW WHEN (NEW.load_end_date IS NULL AND NEW.record_source <> 'INCIDENT_WORKFLOW')
    EXECUTE FUNCTION monitoring.tell_incident_of_change();

CREATE OR REPLACE FUNCTION monitoring.tell_incident_of_note() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NULL;  -- history that came back is no news
    END IF;
    PERFORM monitoring.tell_incident('NOTED', NEW.incident_hk,
        jsonb_build_object('actor', NEW.author, 'via', NEW.via, 'at', NEW.noted_at));
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_incident_of_note() IS 'Trigger of incident_note_s: a note that came past the workflow may be the first response.';
CREATE OR REPLACE TRIGGER t70_tell_incident_of_note AFTER INSERT ON monitoring.incident_note_s
    FOR EACH ROW WHEN (NEW.load_end_date IS NULL AND NEW.record_source <> 'INCIDENT_WORKFLOW')
    EXECUTE FUNCTION monitoring.tell_incident_of_note();

CREATE OR REPLACE FUNCTION monitoring.tell_incident_of_links() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- One fact per incident, however many alerts came or went.
    PERFORM monitoring.tell_incident('LINKED', changed.incident_hk, jsonb_build_object('at', changed.at))
       FROM (SELECT l.incident_hk, max(n.load_date) AS at
               FROM new_rows n
               JOIN monitoring.alert_incident_l l USING (link_alert_incident_hk)
              WHERE n.load_end_date IS NULL  -- history that came back is no news
              GROUP BY l.incident_hk) AS changed;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_incident_of_links() IS 'Trigger of alert_incident_eff_s: alerts came to an incident, or left it.';
CREATE OR REPLACE TRIGGER t70_tell_incident_of_links AFTER INSERT ON monitoring.alert_incident_eff_s
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION monitoring.tell_incident_of_links();

CREATE OR REPLACE FUNCTION monitoring.tell_incidents_of_alert() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.load_end_date IS NOT NULL THEN
        RETURN NULL;  -- history that came back is no news
    END IF;
    IF NOT EXISTS (SELECT FROM monitoring.alert_incident_l l WHERE l.alert_instance_hk = NEW.alert_instance_hk) THEN
        RETURN NULL;  -- as nearly always
    END IF;
    -- A version that only counts messages is no news.
    IF EXISTS (SELECT FROM monitoring.alert_instance_s s
                WHERE s.alert_instance_hk = NEW.alert_instance_hk AND s.load_end_date = NEW.load_date
                  AND s.alert_status = NEW.alert_status
                  AND s.acknowledged_timestamp IS NOT DISTINCT FROM NEW.acknowledged_timestamp) THEN
        RETURN NULL;
    END IF;
    PERFORM monitoring.tell_incident('ALERT', l.incident_hk,
                jsonb_build_object('alert', monitoring.alert_short_id(NEW.alert_instance_hk), 'status', NEW.alert_status,
                                   'at', coalesce(NEW.changed_at, NEW.load_date)))
       FROM monitoring.alert_incident_l l
       JOIN monitoring.alert_incident_eff_s e ON e.link_alert_incident_hk = l.link_alert_incident_hk
                                             AND e.load_end_date IS NULL AND e.effective_to IS NULL
       JOIN monitoring.incident_s s ON s.incident_hk = l.incident_hk AND s.load_end_date IS NULL AND s.incident_status <> 'CLOSED'
      WHERE l.alert_instance_hk = NEW.alert_instance_hk;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION monitoring.tell_incidents_of_alert() IS
    'Trigger of alert_instance_s: the incidents of an alert hear that it was acknowledged or resolved, whatever did it.';
CREATE OR REPLACE TRIGGER t70_tell_incidents_of_alert AFTER INSERT ON monitoring.alert_instance_s
    FOR EACH ROW WHEN (NEW.load_end_date IS NULL AND NEW.alert_status IN ('ACKNOWLEDGED', 'RESOLVED'))
    EXECUTE FUNCTION monitoring.tell_incidents_of_alert();

-- ---------------------------------------------------------------- how incidents stand

CREATE OR REPLACE VIEW monitoring.incident_summary_dashboard WITH (security_invoker = true) AS
SELECT h.incident_bk, s.incident_title, s.incident_status, s.incident_severity, s.incident_priority, s.created_timestamp,
       s.assigned_to, s.customer_impact_level, s.estimated_affected_customers,
       extract(epoch FROM CURRENT_TIMESTAMP - s.created_timestamp) / 60 AS age_minutes,
       (SELECT count(*)
          FROM monitoring.alert_incident_l l
          JOIN monitoring.alert_incident_eff_s e USING (link_alert_incident_hk)
         WHERE l.incident_hk = h.incident_hk AND e.load_end_date IS NULL AND e.effective_to IS NULL) AS linked_alerts_count,
       monitoring.incident_sla_status(s.incident_status, s.created_timestamp, CURRENT_TIMESTAMP) AS sla_status,
       coalesce(h.short_id, 'I-' || monitoring.short_code(h.incident_hk)) AS short_id, s.sla_breach
  FROM monitoring.incident_s s
  JOIN monitoring.incident_h h USING (incident_hk)
 WHERE s.load_end_date IS NULL AND s.incident_status <> 'CLOSED'
 ORDER BY s.incident_priority, s.created_timestamp DESC;
COMMENT ON VIEW monitoring.incident_summary_dashboard IS 'The incidents that are not closed, most urgent first.';

CREATE OR REPLACE VIEW monitoring.incident_current WITH (security_invoker = true) AS
SELECT h.incident_hk, h.incident_bk, coalesce(h.short_id, 'I-' || monitoring.short_code(h.incident_hk)) AS short_id,
       'incident/' || coalesce(h.short_id, 'I-' || monitoring.short_code(h.incident_hk)) AS workflow_id,
       encode(h.tenant_hk, 'hex') AS tenant,
       s.incident_title, s.incident_description, s.incident_status, s.incident_severity, s.incident_priority,
       s.created_timestamp, s.created_by, s.first_response_timestamp, s.first_response_by, s.resolved_timestamp, s.resolved_by,
       s.resolution_summary, s.closed_timestamp, s.closed_by, s.root_cause_analysis, s.reopened_at, s.assigned_to,
       s.affected_services, s.sla_breach, s.response_breached_at, s.resolution_breached_at,
       s.response_time_minutes, s.resolution_time_minutes, s.changed_at, s.changed_by, s.changed_via,
       linked.alerts, linked.active_alerts, linked.last_alert_resolved_at,
       acked.acknowledged_timestamp AS alert_acknowledged_at, acked.acknowledged_by AS alert_acknowledged_by, acked.short_id AS acknowledged_alert
  FROM monitoring.incident_h h
  JOIN monitoring.incident_s s ON s.incident_hk = h.incident_hk AND s.load_end_date IS NULL
 CROSS JOIN LATERAL (
           SELECT count(*) AS alerts, count(*) FILTER (WHERE a.alert_status <> 'RESOLVED') AS active_alerts,
                  max(a.resolved_timestamp) AS last_alert_resolved_at
             FROM monitoring.alert_incident_l l
             JOIN monitoring.alert_incident_eff_s e USING (link_alert_incident_hk)
             JOIN monitoring.alert_instance_s a ON a.alert_instance_hk = l.alert_instance_hk AND a.load_end_date IS NULL
            WHERE l.incident_hk = h.incident_hk AND e.load_end_date IS NULL AND e.effective_to IS NULL) AS linked
  LEFT JOIN LATERAL (
           -- The first answer to one of its alerts since they belong together; an earlier one was no answer to the incident.
           SELECT a.acknowledged_timestamp, a.acknowledged_by, monitoring.alert_short_id(a.alert_instance_hk) AS short_id
             FROM monitoring.alert_incident_l l
             JOIN monitoring.alert_incident_eff_s e USING (link_alert_incident_hk)
             JOIN monitoring.alert_instance_s a ON a.alert_instance_hk = l.alert_instance_hk AND a.load_end_date IS NULL
            WHERE l.incident_hk = h.incident_hk AND e.load_end_date IS NULL AND e.effective_to IS NULL
              AND a.acknowledged_timestamp > e.effective_from
            ORDER BY a.acknowledged_timestamp
            LIMIT 1) AS acked ON true;
COMMENT ON VIEW monitoring.incident_current IS 'Every incident as it stands, with what its alerts say.';

CREATE OR REPLACE FUNCTION monitoring.incident_inputs(p_tenant_hk bytea, p_at timestamptz) RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$
    SELECT jsonb_build_object(
               'open_incidents', count(*) FILTER (WHERE s.incident_status IN ('OPEN', 'INVESTIGATING')),
               'incidents_overdue_response', count(*) FILTER (
                   WHERE monitoring.incident_sla_status(s.incident_status, s.created_timestamp, p_at) = 'OVERDUE_RESPONSE'),
               'incidents_overdue_resolution', count(*) FILTER (
                   WHERE monitoring.incident_sla_status(s.incident_status, s.created_timestamp, p_at) = 'OVERDUE_RESOLUTION'),
               'sla_breached_open_incidents', count(*) FILTER (
                   WHERE s.incident_status IN ('OPEN', 'INVESTIGATING')
                     AND (s.sla_breach OR monitoring.incident_sla_status(s.incident_status, s.created_timestamp, p_at) <> 'ON_TRACK')))
      FROM monitoring.incident_s s
      JOIN monitoring.incident_h h USING (incident_hk)
     WHERE s.load_end_date IS NULL AND s.incident_status <> 'CLOSED' AND s.created_timestamp <= p_at
       AND (p_tenant_hk IS NULL OR h.tenant_hk = p_tenant_hk)
    $$;
COMMENT ON FUNCTION monitoring.incident_inputs(bytea, timestamptz) IS
    'What conditions of metric_source incidents may name: counts over all incidents, or those of a tenant.';

-- ---------------------------------------------------------------- creation and links

CREATE OR REPLACE FUNCTION monitoring.check_incident_text(p_parameter text, p_text text, p_most integer) RETURNS void
    LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF length(p_text) > p_most THEN
        RAISE EXCEPTION '% has % characters, at most % are allowed', p_parameter, length(p_text), p_most
            USING ERRCODE = '22023', HINT = 'Say it shorter, and keep the long form where it can be linked.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_incident_text(text, text, integer) IS 'Raises 22023 when a text is too long.';

CREATE OR REPLACE FUNCTION monitoring.check_incident_alerts(p_alert_instance_hks bytea[]) RETURNS bytea[]
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_alerts  bytea[];
    v_unknown text;
BEGIN
    IF coalesce(cardinality(p_alert_instance_hks), 0) = 0 THEN
        RAISE EXCEPTION 'p_alert_instance_hks is empty'
            USING ERRCODE = '22023', HINT = 'Give at least one alert: ARRAY[monitoring.find_alert(''A-7F3K'')].';
    END IF;
    IF array_position(p_alert_instance_hks, NULL) IS NOT NULL THEN
        RAISE EXCEPTION 'p_alert_instance_hks contains NULL'
            USING ERRCODE = '22023', HINT = 'Leave it out: array_remove(..., NULL), or array_agg(...) FILTER (WHERE ... IS NOT NULL).';
    END IF;
    SELECT array_agg(DISTINCT a ORDER BY a) INTO v_alerts FROM unnest(p_alert_instance_hks) AS a;
    IF cardinality(v_alerts) > 1000 THEN
        RAISE EXCEPTION '% alerts are too many for one incident, at most 1000 are allowed', cardinality(v_alerts)
            USING ERRCODE = '22023', HINT = 'Take the ones that matter; a flood usually has one cause.';
    END IF;
    SELECT string_agg(encode(a, 'hex'), ', ' ORDER BY a) INTO v_unknown
      FROM unnest(v_alerts) AS a
     WHERE NOT EXISTS (SELECT FROM monitoring.alert_instance_s s WHERE s.alert_instance_hk = a AND s.load_end_date IS NULL);
    IF v_unknown IS NOT NULL THEN
        RAISE EXCEPTION 'no alert with hash key %', v_unknown
            USING ERRCODE = 'P0002', HINT = 'See the open alerts: SELECT short_id, alert_name FROM monitoring.active_alerts_dashboard, and monitoring.find_alert(''A-7F3K'').';
    END IF;
    RETURN v_alerts;
END
$$;
COMMENT ON FUNCTION monitoring.check_incident_alerts(bytea[]) IS
    'The alerts of a list, sorted and without repetition; raises where it is empty, holds NULL or an unknown alert.';

CREATE OR REPLACE FUNCTION monitoring.incident_tenant(p_alert_instance_hks bytea[], p_tenant_hk bytea) RETURNS bytea
    LANGUAGE plpgsql STABLE
    AS $$
DECLARE
    v_tenants bytea[];
    v_foreign text;
BEGIN
    SELECT array_agg(DISTINCT h.tenant_hk) INTO v_tenants  -- NULL is one of them
      FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = ANY (p_alert_instance_hks);
    IF p_tenant_hk IS NULL THEN
        IF cardinality(v_tenants) > 1 THEN
            RAISE EXCEPTION 'the alerts belong to different tenants, and p_tenant_hk is NULL'
                USING ERRCODE = '22023', HINT = 'Make an incident per tenant; alerts of the whole system may join one whose tenant is given.';
        END IF;
        RETURN v_tenants[1];
    END IF;
    IF NOT EXISTS (SELECT FROM auth.tenant_h t WHERE t.tenant_hk = p_tenant_hk) THEN
        RAISE EXCEPTION 'p_tenant_hk % is no tenant', encode(p_tenant_hk, 'hex')
            USING ERRCODE = '22023', HINT = 'See auth.tenant_h; NULL takes the tenant of the alerts.';
    END IF;
    SELECT string_agg(monitoring.alert_short_id(h.alert_instance_hk), ', ' ORDER BY h.alert_instance_hk) INTO v_foreign
      FROM monitoring.alert_instance_h h
     WHERE h.alert_instance_hk = ANY (p_alert_instance_hks) AND h.tenant_hk <> p_tenant_hk;
    IF v_foreign IS NOT NULL THEN
        RAISE EXCEPTION 'alerts of another tenant cannot join the incident: %', v_foreign
            USING ERRCODE = '22023', HINT = 'Make an incident per tenant.';
    END IF;
    RETURN p_tenant_hk;
END
$$;
COMMENT ON FUNCTION monitoring.incident_tenant(bytea[], bytea) IS
    'The tenant of an incident with these alerts: the given one, or that of all alerts; raises where tenants would mix.';

CREATE OR REPLACE FUNCTION monitoring.link_alerts(p_incident_hk bytea, p_alert_instance_hks bytea[], p_at timestamptz, p_reason text) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_linked integer;
BEGIN
    INSERT INTO monitoring.alert_incident_l (link_alert_incident_hk, alert_instance_hk, incident_hk, tenant_hk)
    SELECT util.hash_binary(encode(a, 'hex') || '||' || encode(p_incident_hk, 'hex')), a, p_incident_hk, h.tenant_hk
      FROM unnest(p_alert_instance_hks) AS a
      JOIN monitoring.incident_h h ON h.incident_hk = p_incident_hk
    ON CONFLICT DO NOTHING;
    INSERT INTO monitoring.alert_incident_eff_s (link_alert_incident_hk, hash_diff, effective_from, reason)
    SELECT l.link_alert_incident_hk, '\x', p_at, p_reason
      FROM monitoring.alert_incident_l l
     WHERE l.incident_hk = p_incident_hk AND l.alert_instance_hk = ANY (p_alert_instance_hks)
       AND NOT EXISTS (SELECT FROM monitoring.alert_incident_eff_s e
                        WHERE e.link_alert_incident_hk = l.link_alert_incident_hk AND e.load_end_date IS NULL AND e.effective_to IS NULL);
    GET DIAGNOSTICS v_linked = ROW_COUNT;
    RETURN v_linked;
END
$$;
COMMENT ON FUNCTION monitoring.link_alerts(bytea, bytea[], timestamptz, text) IS
    'Has alerts belong to an incident from a moment on; those that do already stay as they are. Returns how many came.';

CREATE OR REPLACE FUNCTION monitoring.worst_severity(p_alert_instance_hks bytea[]) RETURNS text
    LANGUAGE sql STABLE
    AS $$
    SELECT coalesce((array_agg(severity ORDER BY array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], severity)))[1], 'LOW')
      FROM (SELECT coalesce(s.urgency_level, d.alert_severity)::text AS severity
              FROM monitoring.alert_instance_h h
              JOIN monitoring.alert_instance_s s ON s.alert_instance_hk = h.alert_instance_hk AND s.load_end_date IS NULL
              LEFT JOIN monitoring.alert_definition_s d ON d.alert_definition_hk = h.alert_definition_hk AND d.load_end_date IS NULL
             WHERE h.alert_instance_hk = ANY (p_alert_instance_hks)) AS alerts
     WHERE severity IN ('CRITICAL', 'HIGH', 'MEDIUM', 'LOW')
    $$;
COMMENT ON FUNCTION monitoring.worst_severity(bytea[]) IS 'The worst urgency of alerts.';

CREATE OR REPLACE FUNCTION monitoring.create_incident(
    p_alert_instance_hks bytea[], p_title text, p_description text, p_assigned_to text, p_tenant_hk bytea, p_actor text, p_via text)
    RETURNS bytea
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_alerts   bytea[] := monitoring.check_incident_alerts(p_alert_instance_hks);
    v_tenant   bytea := monitoring.incident_tenant(v_alerts, p_tenant_hk);
    v_severity text := monitoring.worst_severity(v_alerts);
    v_at       timestamptz := clock_timestamp();
    v_set      text;
    v_bk       text;
    v_number   integer := 1;
    v_found    record;
    v_hk       bytea;
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_created_by');
    PERFORM monitoring.check_incident_text('p_created_by', p_actor, 100);
    IF coalesce(btrim(p_title), '') = '' THEN
        RAISE EXCEPTION 'p_incident_title is empty'
            USING ERRCODE = '22023', HINT = 'Give a title by which people will speak of it.';
    END IF;
    PERFORM monitoring.check_incident_text('p_incident_title', p_title, 500);
    PERFORM monitoring.check_incident_text('p_incident_description', p_description, 10000);
    PERFORM monitoring.check_incident_text('p_assigned_to', p_assigned_to, 100);

    -- The key is the set of alerts and a number: a call that is repeated finds the incident that it made,
    -- and a new one begins when that is closed.
    v_set := encode(sha256(convert_to((SELECT string_agg(encode(a, 'hex'), ',' ORDER BY a) FROM unnest(v_alerts) AS a), 'UTF8')), 'hex');
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.incident/' || v_set || coalesce(encode(v_tenant, 'hex'), ''), 0));
    LOOP
        v_bk := util.bk('INCIDENT', coalesce(encode(v_tenant, 'hex'), 'SYSTEM'), v_set, v_number::text);
        v_hk := util.hash_binary(v_bk);
        SELECT s.incident_status, s.created_timestamp, s.created_by INTO v_found
          FROM monitoring.incident_s s
         WHERE s.incident_hk = v_hk AND s.load_end_date IS NULL;
        EXIT WHEN NOT FOUND;
        IF v_found.incident_status <> 'CLOSED' THEN
            RAISE NOTICE 'incident % of these alerts was created by % at %: nothing to do', monitoring.incident_short_id(v_hk),
                v_found.created_by, to_char(v_found.created_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"');
            RETURN v_hk;
        END IF;
        v_number := v_number + 1;
    END LOOP;

    INSERT INTO monitoring.incident_h (incident_hk, incident_bk, tenant_hk) VALUES (v_hk, v_bk, v_tenant) ON CONFLICT DO NOTHING;
    INSERT INTO monitoring.incident_s (
        incident_hk, hash_diff, incident_title, incident_description, incident_status, incident_severity, incident_priority,
        created_timestamp, assigned_to, created_by, affected_services, changed_at, changed_by, changed_via)
    SELECT v_hk, '\x', btrim(p_title), p_description, 'OPEN', v_severity, monitoring.incident_priority(v_severity),
           v_at, nullif(btrim(p_assigned_to), ''), p_actor, array_agg(DISTINCT h.target_name::text ORDER BY h.target_name::text), v_at, p_actor, p_via
      FROM monitoring.alert_instance_h h
     WHERE h.alert_instance_hk = ANY (v_alerts);
    PERFORM monitoring.link_alerts(v_hk, v_alerts, v_at, NULL);
    RETURN v_hk;
END
$$;
COMMENT ON FUNCTION monitoring.create_incident(bytea[], text, text, text, bytea, text, text) IS
    'Creates an incident of alerts, or finds the one that these alerts have and that is not closed. Its workflow starts by the outbox.';

CREATE OR REPLACE FUNCTION monitoring.create_incident_from_alerts(
    p_alert_instance_hks bytea[], p_incident_title varchar(500), p_incident_description text,
    p_assigned_to varchar(100), p_tenant_hk bytea, p_created_by varchar(100)) RETURNS bytea
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
    SELECT monitoring.create_incident(p_alert_instance_hks, p_incident_title, p_incident_description, p_assigned_to, p_tenant_hk,
                                      p_created_by, 'psql:' || session_user)
    $$;
COMMENT ON FUNCTION monitoring.create_incident_from_alerts(bytea[], varchar, text, varchar, bytea, varchar) IS
    'create_incident_from_alerts by a person who shares a database role with others.';

CREATE OR REPLACE FUNCTION monitoring.create_incident_from_alerts(
    p_alert_instance_hks bytea[], p_incident_title varchar(500), p_incident_description text,
    p_assigned_to varchar(100) DEFAULT NULL, p_tenant_hk bytea DEFAULT NULL) RETURNS bytea
    LANGUAGE sql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
    SELECT monitoring.create_incident(p_alert_instance_hks, p_incident_title, p_incident_description, p_assigned_to, p_tenant_hk,
                                      session_user::text, 'psql:' || session_user)
    $$;
COMMENT ON FUNCTION monitoring.create_incident_from_alerts(bytea[], varchar, text, varchar, bytea) IS
    'Creates an incident of alerts and returns its hash key: severity is the worst of theirs, the tenant theirs where none is given. Called again with the same alerts it returns the same incident until that is closed.';

CREATE OR REPLACE FUNCTION monitoring.require_incident(p_incident_hk bytea) RETURNS monitoring.incident_s
    LANGUAGE plpgsql
    AS $$
DECLARE
    c monitoring.incident_s := monitoring.lock_current_incident(p_incident_hk);
BEGIN
    IF c.incident_hk IS NULL THEN
        RAISE EXCEPTION 'no incident with hash key %', coalesce(encode(p_incident_hk, 'hex'), 'NULL')
            USING ERRCODE = 'P0002', HINT = 'See the open incidents: SELECT * FROM monitoring.incident_summary_dashboard, and monitoring.find_incident(''I-7F3K'').';
    END IF;
    RETURN c;
END
$$;
COMMENT ON FUNCTION monitoring.require_incident(bytea) IS 'lock_current_incident, or P0002.';

CREATE OR REPLACE FUNCTION monitoring.add_alerts_to_incident(
    p_incident_hk bytea, p_alert_instance_hks bytea[], p_actor text DEFAULT SESSION_USER, p_reason text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c          monitoring.incident_s := monitoring.require_incident(p_incident_hk);
    v_alerts   bytea[] := monitoring.check_incident_alerts(p_alert_instance_hks);
    v_at       timestamptz := clock_timestamp();
    v_linked   integer;
    v_severity text;
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    PERFORM monitoring.check_incident_text('p_reason', p_reason, 10000);
    IF c.incident_status = 'CLOSED' THEN
        RAISE EXCEPTION '% was closed by % at %: no alert can join it', monitoring.incident_short_id(p_incident_hk), c.closed_by,
            to_char(c.closed_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
            USING ERRCODE = '55000', HINT = 'Create a new incident: monitoring.create_incident_from_alerts, or onevault incident create.';
    END IF;
    PERFORM monitoring.incident_tenant(v_alerts || (
                SELECT coalesce(array_agg(l.alert_instance_hk), '{}') FROM monitoring.alert_incident_l l WHERE l.incident_hk = p_incident_hk), h.tenant_hk)
       FROM monitoring.incident_h h WHERE h.incident_hk = p_incident_hk;
    v_linked := monitoring.link_alerts(p_incident_hk, v_alerts, v_at, p_reason);
    IF v_linked = 0 THEN
        RETURN 0;
    END IF;

    v_severity := monitoring.worst_severity(v_alerts);
    IF monitoring.incident_priority(v_severity) < c.incident_priority THEN
        c.incident_severity := v_severity;
        c.incident_priority := monitoring.incident_priority(v_severity);
    END IF;
    SELECT array_agg(DISTINCT t ORDER BY t) INTO c.affected_services
      FROM (SELECT unnest(c.affected_services) UNION SELECT h.target_name FROM monitoring.alert_instance_h h WHERE h.alert_instance_hk = ANY (v_alerts)) AS u (t);
    -- What still goes on cannot be resolved.
    IF c.incident_status = 'RESOLVED'
       AND EXISTS (SELECT FROM monitoring.alert_instance_s s
                    WHERE s.alert_instance_hk = ANY (v_alerts) AND s.load_end_date IS NULL AND s.alert_status <> 'RESOLVED') THEN
        c.incident_status := 'INVESTIGATING';
    END IF;
    c.load_date := clock_timestamp();
    c.changed_at := v_at;
    c.changed_by := p_actor;
    c.changed_via := 'psql:' || session_user;
    c.record_source := 'INCIDENT_MANAGER';
    INSERT INTO monitoring.incident_s SELECT (c).*;
    RETURN v_linked;
END
$$;
COMMENT ON FUNCTION monitoring.add_alerts_to_incident(bytea, bytea[], text, text) IS
    'Has more alerts belong to an incident; returns how many came. Severity and priority rise with them, and an alert that goes on reopens a resolved incident.';

CREATE OR REPLACE FUNCTION monitoring.remove_alerts_from_incident(
    p_incident_hk bytea, p_alert_instance_hks bytea[], p_actor text DEFAULT SESSION_USER, p_reason text DEFAULT NULL) RETURNS integer
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
DECLARE
    c         monitoring.incident_s := monitoring.require_incident(p_incident_hk);
    v_alerts  bytea[] := monitoring.check_incident_alerts(p_alert_instance_hks);
    v_at      timestamptz := clock_timestamp();
    v_removed integer;
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    PERFORM monitoring.check_incident_text('p_reason', p_reason, 10000);
    IF c.incident_status = 'CLOSED' THEN
        RAISE EXCEPTION '% was closed by % at %: which alerts it had is history', monitoring.incident_short_id(p_incident_hk), c.closed_by,
            to_char(c.closed_timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"')
            USING ERRCODE = '55000', HINT = 'Write a note instead: monitoring.incident_note.';
    END IF;
    INSERT INTO monitoring.alert_incident_eff_s (link_alert_incident_hk, hash_diff, effective_from, effective_to, reason)
    SELECT e.link_alert_incident_hk, '\x', e.effective_from, v_at, p_reason
      FROM monitoring.alert_incident_l l
      JOIN monitoring.alert_incident_eff_s e USING (link_alert_incident_hk)
     WHERE l.incident_hk = p_incident_hk AND l.alert_instance_hk = ANY (v_alerts)
       AND e.load_end_date IS NULL AND e.effective_to IS NULL;
    GET DIAGNOSTICS v_removed = ROW_COUNT;
    IF v_removed > 0 THEN
        c.load_date := clock_timestamp();
        c.changed_at := v_at;
        c.changed_by := p_actor;
        c.changed_via := 'psql:' || session_user;
        c.record_source := 'INCIDENT_MANAGER';
        INSERT INTO monitoring.incident_s SELECT (c).*;
    END IF;
    RETURN v_removed;
END
$$;
COMMENT ON FUNCTION monitoring.remove_alerts_from_incident(bytea, bytea[], text, text) IS
    'Ends that alerts belong to an incident; returns how many left. Severity and priority stay: they say how bad it was taken for.';

-- ---------------------------------------------------------------- changes

CREATE OR REPLACE FUNCTION monitoring.add_incident_note(
    p_incident_hk bytea, p_at timestamptz, p_author text, p_via text, p_text text, p_source text) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO monitoring.incident_note_s (incident_hk, hash_diff, noted_at, author, via, note_text, record_source)
    SELECT p_incident_hk, '\x', p_at, p_author, p_via, p_text, p_source
     -- The same words of the same person a moment ago: sent again because the answer was lost.
     WHERE NOT EXISTS (SELECT FROM monitoring.incident_note_s n
                        WHERE n.incident_hk = p_incident_hk AND n.author = p_author AND n.note_text = p_text AND n.load_end_date IS NULL
                          AND n.noted_at BETWEEN p_at - interval '5 minutes' AND p_at + interval '5 minutes')
    ON CONFLICT DO NOTHING
    $$;
COMMENT ON FUNCTION monitoring.add_incident_note(bytea, timestamptz, text, text, text, text) IS 'Writes a note; writing it again, or the same words within five minutes, does nothing.';

CREATE OR REPLACE FUNCTION monitoring.change_incident(
    p_incident_hk bytea, p_change text, p_at timestamptz, p_actor text, p_via text, p_text text, p_source text,
    OUT changed boolean, OUT message text)
    LANGUAGE plpgsql
    AS $$
DECLARE
    c        monitoring.incident_s := monitoring.require_incident(p_incident_hk);
    v_before monitoring.incident_s := c;
    v_id     text := monitoring.incident_short_id(p_incident_hk);
    v_stamp  text := 'YYYY-MM-DD HH24:MI:SS "UTC"';
    v_wanted text := CASE p_change WHEN 'REOPENED' THEN 'INVESTIGATING' ELSE p_change END;
BEGIN
    PERFORM monitoring.check_incident_text('the text', p_text, 10000);
    c.load_date := clock_timestamp();
    c.changed_at := p_at;
    c.changed_by := p_actor;
    c.changed_via := p_via;
    c.record_source := p_source;

    CASE p_change
    WHEN 'NOTED' THEN
        PERFORM monitoring.add_incident_note(p_incident_hk, p_at, p_actor, p_via, p_text, p_source);
        changed := true;
        message := format('noted on %s', v_id);
        IF c.incident_status <> 'OPEN' THEN
            RETURN;
        END IF;
        c.incident_status := 'INVESTIGATING';  -- whoever writes has responded
    WHEN 'ASSIGNED' THEN
        -- The second half: the same assignment, written again by a retry.
        changed := coalesce(c.assigned_to IS DISTINCT FROM p_text AND c.incident_status <> 'CLOSED'
                            OR c.assigned_to = p_text AND v_before.changed_at = p_at AND v_before.changed_by = p_actor, false);
        message := CASE WHEN changed THEN format('%s is assigned to %s', v_id, p_text)
                        WHEN c.incident_status = 'CLOSED' THEN format('%s is CLOSED and cannot be assigned', v_id)
                        ELSE format('%s is assigned to %s already', v_id, p_text) END;
        IF NOT changed OR c.assigned_to = p_text THEN
            RETURN;
        END IF;
        c.assigned_to := p_text;
        IF c.incident_status = 'OPEN' THEN
            c.incident_status := 'INVESTIGATING';
        END IF;
    WHEN 'LIMIT' THEN
        -- A timer says that a limit may have passed; the times say whether it has.
        changed := c.incident_status IN ('OPEN', 'INVESTIGATING') AND (
            c.incident_status = 'OPEN' AND c.response_breached_at IS NULL AND p_at - c.created_timestamp > monitoring.incident_response_limit()
                AND NOT EXISTS (SELECT FROM monitoring.incident_current i
                                 WHERE i.incident_hk = p_incident_hk
                                   AND i.alert_acknowledged_at - c.created_timestamp <= monitoring.incident_response_limit())
            OR c.resolution_breached_at IS NULL AND p_at - c.created_timestamp > monitoring.incident_resolution_limit());
        message := CASE WHEN changed THEN format('%s: %s', v_id, p_actor) ELSE format('%s: no limit passed', v_id) END;
        IF NOT changed THEN
            RETURN;
        END IF;
    WHEN 'INVESTIGATING', 'REOPENED', 'RESOLVED', 'CLOSED' THEN
        changed := monitoring.incident_transition_allowed(c.incident_status, v_wanted)
                   -- To take what is open and to reopen what is over are two intents.
                   AND (p_change <> 'INVESTIGATING' OR c.incident_status = 'OPEN')
                   AND (p_change <> 'REOPENED' OR c.incident_status = 'RESOLVED');
        IF NOT changed THEN
            changed := CASE p_change  -- it is this very change, written again by a retry
                WHEN 'INVESTIGATING' THEN c.incident_status = v_wanted AND (c.first_response_timestamp = p_at AND c.first_response_by = p_actor
                                                                            OR v_before.changed_at = p_at AND v_before.changed_by = p_actor)
                WHEN 'REOPENED' THEN c.incident_status = v_wanted AND c.reopened_at = p_at AND v_before.changed_by = p_actor
                WHEN 'RESOLVED' THEN c.incident_status = v_wanted AND c.resolved_timestamp = p_at AND c.resolved_by = p_actor
                ELSE c.incident_status = v_wanted AND c.closed_timestamp = p_at AND c.closed_by = p_actor END;
            changed := coalesce(changed, false);
            message := CASE
                WHEN changed THEN format('%s is %s', v_id, c.incident_status)
                WHEN c.incident_status = 'CLOSED' THEN format('%s was resolved by %s at %s and closed by %s at %s', v_id,
                    c.resolved_by, to_char(c.resolved_timestamp AT TIME ZONE 'UTC', v_stamp), c.closed_by, to_char(c.closed_timestamp AT TIME ZONE 'UTC', v_stamp))
                WHEN c.incident_status = 'RESOLVED' THEN format('%s was resolved by %s at %s', v_id,
                    c.resolved_by, to_char(c.resolved_timestamp AT TIME ZONE 'UTC', v_stamp))
                WHEN p_change = 'CLOSED' THEN format('%s is %s and cannot become CLOSED: resolve it first', v_id, c.incident_status)
                WHEN c.incident_status = 'INVESTIGATING' THEN format('%s is INVESTIGATING since %s, taken by %s', v_id,
                    to_char(c.first_response_timestamp AT TIME ZONE 'UTC', v_stamp), c.first_response_by)
                ELSE format('%s is %s and cannot be reopened', v_id, c.incident_status) END;
            RETURN;
        END IF;
        c.incident_status := v_wanted;
        CASE p_change
        WHEN 'RESOLVED' THEN
            c.resolved_timestamp := p_at;
            c.resolved_by := p_actor;
            c.resolution_summary := p_text;
        WHEN 'CLOSED' THEN
            c.closed_timestamp := p_at;
            c.closed_by := p_actor;
            c.root_cause_analysis := coalesce(p_text, c.root_cause_analysis);
        ELSE
            IF p_text IS NOT NULL THEN
                PERFORM monitoring.add_incident_note(p_incident_hk, p_at, p_actor, p_via, p_text, p_source);
            END IF;
        END CASE;
        message := format('%s is %s', v_id, c.incident_status);
    END CASE;
    -- The first response is dated by itself, also where it is a resolution.
    IF v_before.incident_status = 'OPEN' AND c.incident_status <> 'OPEN' THEN
        c.first_response_timestamp := p_at;
        c.first_response_by := p_actor;
    END IF;
    INSERT INTO monitoring.incident_s SELECT (c).*;
END
$$;
COMMENT ON FUNCTION monitoring.change_incident(bytea, text, timestamptz, text, text, text, text) IS
    'Changes an incident: INVESTIGATING, REOPENED, RESOLVED (text: summary), CLOSED (text: root cause), NOTED, ASSIGNED (text: to whom) or LIMIT (a timer ran out). Where that is not legal changed is false, and the message says what stands.';

CREATE OR REPLACE FUNCTION monitoring.command_incident(
    p_change text, p_incident_hk bytea, p_actor text, p_text text) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_result record;
BEGIN
    PERFORM monitoring.check_incident_text('the actor''s name', p_actor, 100);
    v_result := monitoring.change_incident(p_incident_hk, p_change, clock_timestamp(), p_actor,
        'psql:' || session_user, nullif(btrim(p_text), ''), 'INCIDENT_MANAGER');
    IF NOT v_result.changed THEN
        RAISE WARNING '%', v_result.message;
    END IF;
    RETURN v_result.changed;
END
$$;
COMMENT ON FUNCTION monitoring.command_incident(text, bytea, text, text) IS
    'A command given in psql: changes the incident and, by the triggers, tells its workflow, in one transaction.';

CREATE OR REPLACE FUNCTION monitoring.incident_note(p_incident_hk bytea, p_author varchar(100), p_text text) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_author, 'p_author');
    IF coalesce(btrim(p_text), '') = '' THEN
        RAISE EXCEPTION 'p_text is empty' USING ERRCODE = '22023', HINT = 'Write what the others should know.';
    END IF;
    RETURN monitoring.command_incident('NOTED', p_incident_hk, p_author, p_text);
END
$$;
COMMENT ON FUNCTION monitoring.incident_note(bytea, varchar, text) IS
    'Writes a note on an incident, closed ones too. On an open one it is the first response.';

CREATE OR REPLACE FUNCTION monitoring.assign_incident(p_incident_hk bytea, p_actor varchar(100), p_assigned_to varchar(100)) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    IF coalesce(btrim(p_assigned_to), '') = '' THEN
        RAISE EXCEPTION 'p_assigned_to is empty' USING ERRCODE = '22023', HINT = 'Say who is to work on it.';
    END IF;
    PERFORM monitoring.check_incident_text('p_assigned_to', p_assigned_to, 100);
    RETURN monitoring.command_incident('ASSIGNED', p_incident_hk, p_actor, p_assigned_to);
END
$$;
COMMENT ON FUNCTION monitoring.assign_incident(bytea, varchar, varchar) IS
    'Gives an incident to somebody. On an open one it is the first response. Returns false, with a warning, where that changes nothing.';

CREATE OR REPLACE FUNCTION monitoring.investigate_incident(p_incident_hk bytea, p_actor varchar(100), p_note text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    RETURN monitoring.command_incident('INVESTIGATING', p_incident_hk, p_actor, p_note);
END
$$;
COMMENT ON FUNCTION monitoring.investigate_incident(bytea, varchar, text) IS
    'Takes an open incident: somebody is at it. Returns false, with a warning that says who was first.';

CREATE OR REPLACE FUNCTION monitoring.resolve_incident(p_incident_hk bytea, p_actor varchar(100), p_summary text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    RETURN monitoring.command_incident('RESOLVED', p_incident_hk, p_actor, p_summary);
END
$$;
COMMENT ON FUNCTION monitoring.resolve_incident(bytea, varchar, text) IS
    'Resolves an incident; its alerts stay as they are. Returns false, with a warning, when it was resolved before.';

CREATE OR REPLACE FUNCTION monitoring.reopen_incident(p_incident_hk bytea, p_actor varchar(100), p_reason text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    RETURN monitoring.command_incident('REOPENED', p_incident_hk, p_actor, p_reason);
END
$$;
COMMENT ON FUNCTION monitoring.reopen_incident(bytea, varchar, text) IS
    'Takes a resolved incident up again. Alerts that ended before do not resolve it a second time.';

CREATE OR REPLACE FUNCTION monitoring.close_incident(p_incident_hk bytea, p_actor varchar(100), p_root_cause text DEFAULT NULL) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, monitoring, pg_temp
    AS $$
BEGIN
    PERFORM monitoring.require_actor(p_actor, 'p_actor');
    RETURN monitoring.command_incident('CLOSED', p_incident_hk, p_actor, p_root_cause);
END
$$;
COMMENT ON FUNCTION monitoring.close_incident(bytea, varchar, text) IS
    'Closes a resolved incident for good; its workflow ends. Returns false, with a warning, when it is not resolved or was closed before.';

CREATE OR REPLACE FUNCTION monitoring.record_incident_change(p_incident_hk bytea, p_change jsonb, OUT changed boolean, OUT message text)
    LANGUAGE sql
    AS $$
    SELECT r.changed, r.message
      FROM monitoring.change_incident(p_incident_hk, p_change ->> 'change', (p_change ->> 'at')::timestamptz, p_change ->> 'actor',
                                      p_change ->> 'via', p_change ->> 'text', 'INCIDENT_WORKFLOW') AS r
    $$;
COMMENT ON FUNCTION monitoring.record_incident_change(bytea, jsonb) IS
    'Writes what an incident''s workflow did: {change, at, actor, via, text}. Writing it again changes nothing.';
