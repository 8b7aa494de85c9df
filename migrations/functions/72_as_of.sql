-- What was true at a moment, as known at another. Valid time is changed_at (when it happened), knowledge is
-- load_date (when the vault learned of it): what came late, because the vault was down, was not known.

CREATE OR REPLACE FUNCTION monitoring.check_as_of(p_at timestamptz, p_known_at timestamptz) RETURNS void
    LANGUAGE plpgsql STABLE
    AS $$
BEGIN
    IF p_at IS NULL OR p_known_at IS NULL THEN
        RAISE EXCEPTION '% is NULL', CASE WHEN p_at IS NULL THEN 'p_at' ELSE 'p_known_at' END
            USING ERRCODE = '22023', HINT = 'Give a moment, such as now() - interval ''2 hours'' or ''2026-11-23 03:12:00+00''.';
    END IF;
    -- Clocks of two hosts may differ by some seconds.
    IF greatest(p_at, p_known_at) > clock_timestamp() + interval '1 minute' THEN
        RAISE EXCEPTION '% % lies in the future', CASE WHEN p_at > p_known_at THEN 'p_at' ELSE 'p_known_at' END, greatest(p_at, p_known_at)
            USING ERRCODE = '22023', HINT = 'Of the future nothing is known: give a moment that has passed.';
    END IF;
END
$$;
COMMENT ON FUNCTION monitoring.check_as_of(timestamptz, timestamptz) IS 'Raises 22023 for a moment that has not come yet.';

DROP FUNCTION IF EXISTS monitoring.alert_states_as_of(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS monitoring.alert_states_as_of(timestamptz, timestamptz, boolean);
CREATE OR REPLACE FUNCTION monitoring.alert_states_as_of(
    p_at timestamptz, p_known_at timestamptz DEFAULT clock_timestamp(), p_ended boolean DEFAULT true)
    RETURNS TABLE (alert_instance_hk bytea, load_date timestamptz, alert_status varchar(20), escalation_level integer, urgency_level varchar(20),
                   trigger_value numeric, trigger_details jsonb, triggered_timestamp timestamptz, changed_at timestamptz, changed_via varchar(150),
                   acknowledged_timestamp timestamptz, acknowledged_by varchar(100), acknowledgment_notes text,
                   resolved_timestamp timestamptz, resolved_by varchar(100), resolution_notes text, suppression_reason text,
                   notification_count integer, last_notification_sent timestamptz,
                   reopened_count integer, reopened_timestamp timestamptz, flapping_since timestamptz, flapping_reason text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM monitoring.check_as_of(p_at, p_known_at);
    RETURN QUERY
    WITH known AS (
        -- Few columns: all versions of all alerts pass through here.
        SELECT s.alert_instance_hk, s.load_date,
               CASE WHEN s.record_source = 'NOTIFICATION_MANAGER'
                    -- It only counts a message, and carries the changed_at of the state before it.
                    THEN greatest(s.changed_at, s.last_notification_sent)
                    WHEN lag(s.load_date) OVER w IS NULL THEN coalesce(s.changed_at, s.triggered_timestamp)
                    ELSE coalesce(s.changed_at, s.load_date) END AS valid_from,
               -- The last version known then tells of the answers: one that came late is in it.
               max(s.load_date) OVER w AS newest
          FROM monitoring.alert_instance_s s
         WHERE s.load_date <= p_known_at AND s.triggered_timestamp <= p_at
        WINDOW w AS (PARTITION BY s.alert_instance_hk ORDER BY s.load_date ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    ),
    standing AS (
        SELECT DISTINCT ON (k.alert_instance_hk) k.*
          FROM known k
         WHERE k.valid_from <= p_at
         ORDER BY k.alert_instance_hk, k.valid_from DESC, k.load_date DESC
    )
    SELECT t.alert_instance_hk, t.load_date,
           CASE WHEN ended THEN 'RESOLVED'
                WHEN answered AND t.alert_status IN ('OPEN', 'ESCALATED') THEN 'ACKNOWLEDGED'
                ELSE t.alert_status END::varchar(20),
           t.escalation_level, t.urgency_level, t.trigger_value, t.trigger_details, t.triggered_timestamp,
           greatest(coalesce(t.changed_at, st.valid_from), CASE WHEN answered THEN n.acknowledged_timestamp END,
                    CASE WHEN ended THEN n.resolved_timestamp END), t.changed_via,
           -- One that was opened again later has forgotten its earlier answers; the version that stood then has not.
           CASE WHEN answered THEN n.acknowledged_timestamp ELSE t.acknowledged_timestamp END,
           CASE WHEN answered THEN n.acknowledged_by ELSE t.acknowledged_by END,
           CASE WHEN answered THEN n.acknowledgment_notes ELSE t.acknowledgment_notes END,
           CASE WHEN ended THEN n.resolved_timestamp ELSE t.resolved_timestamp END,
           CASE WHEN ended THEN n.resolved_by ELSE t.resolved_by END,
           CASE WHEN ended THEN n.resolution_notes ELSE t.resolution_notes END,
           t.suppression_reason, t.notification_count, t.last_notification_sent,
           t.reopened_count, t.reopened_timestamp, t.flapping_since, t.flapping_reason
      FROM standing st
      JOIN monitoring.alert_instance_s t ON t.alert_instance_hk = st.alert_instance_hk AND t.load_date = st.load_date
      JOIN monitoring.alert_instance_s n ON n.alert_instance_hk = st.alert_instance_hk AND n.load_date = st.newest,
           LATERAL (SELECT n.acknowledged_timestamp <= p_at AS answered, n.resolved_timestamp <= p_at AS ended) AS x
     WHERE p_ended OR ended IS NOT TRUE AND t.alert_status <> 'RESOLVED';
END
$$;
COMMENT ON FUNCTION monitoring.alert_states_as_of(timestamptz, timestamptz, boolean) IS
    'The state of each alert at a moment, as far as it was known at p_known_at: one row per alert that had opened; p_ended false: without those that had ended. The columns are those of alert_instance_s.';

DROP FUNCTION IF EXISTS monitoring.alerts_as_of(timestamptz, timestamptz);
CREATE OR REPLACE FUNCTION monitoring.alerts_as_of(p_at timestamptz, p_known_at timestamptz DEFAULT clock_timestamp())
    RETURNS TABLE (short_id text, target_name text, alert_status text, alert_severity text, alert_name text, trigger_value numeric, threshold_value numeric,
                   escalation_level integer, triggered_timestamp timestamptz, age_minutes numeric, acknowledged_by text, acknowledged_timestamp timestamptz,
                   resolved_by text, resolved_timestamp timestamptz, changed_at timestamptz, known_since timestamptz,
                   definition_key text, definition_version timestamptz, condition_logic text, alert_key text, alert_instance_hk bytea)
    LANGUAGE sql STABLE
    AS $$
    SELECT monitoring.alert_short_id(s.alert_instance_hk), h.target_name, s.alert_status, coalesce(s.urgency_level, d.alert_severity), d.alert_name,
           s.trigger_value, d.threshold_value, s.escalation_level, s.triggered_timestamp,
           round((extract(epoch FROM p_at - s.triggered_timestamp) / 60)::numeric, 1), s.acknowledged_by, s.acknowledged_timestamp,
           s.resolved_by, s.resolved_timestamp, s.changed_at, s.load_date,
           dh.alert_definition_bk, d.load_date, d.condition_logic, h.alert_instance_bk, s.alert_instance_hk
      FROM monitoring.alert_states_as_of(p_at, p_known_at) s
      JOIN monitoring.alert_instance_h h USING (alert_instance_hk)
      JOIN monitoring.alert_definition_h dh USING (alert_definition_hk)
      JOIN LATERAL (
               -- The version it fired under; for one that no evaluation opened, the one that was current and known.
               SELECT v.* FROM monitoring.alert_definition_s v
                WHERE v.alert_definition_hk = h.alert_definition_hk
                ORDER BY v.load_date = (s.trigger_details ->> 'definition_load_date')::timestamptz DESC NULLS LAST,
                         v.load_date <= least(p_at, p_known_at) DESC,
                         CASE WHEN v.load_date <= least(p_at, p_known_at) THEN v.load_date END DESC NULLS LAST, v.load_date
                LIMIT 1) AS d ON true
     ORDER BY s.alert_status IN ('RESOLVED', 'SUPPRESSED'),
              array_position(ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'LOW'], coalesce(s.urgency_level, d.alert_severity)::text), s.triggered_timestamp DESC
    $$;
COMMENT ON FUNCTION monitoring.alerts_as_of(timestamptz, timestamptz) IS
    'What was true of alerts at p_at, as known at p_known_at (default: now), the worst first, with the version of the definition known then. known_since: when the vault learned of it.';

DROP FUNCTION IF EXISTS monitoring.health_as_of(timestamptz, timestamptz, text, interval);
CREATE OR REPLACE FUNCTION monitoring.health_as_of(
    p_at timestamptz, p_known_at timestamptz DEFAULT clock_timestamp(), p_target text DEFAULT NULL, p_lookback interval DEFAULT '1 hour')
    RETURNS TABLE (target_name text, metric_name text, metric_value numeric, metric_unit text, status text, threshold_warning numeric,
                   threshold_critical numeric, measurement_timestamp timestamptz, age_seconds numeric, known_since timestamptz, error text)
    LANGUAGE plpgsql STABLE
    AS $$
#variable_conflict use_column
BEGIN
    PERFORM monitoring.check_as_of(p_at, p_known_at);
    RETURN QUERY
    SELECT DISTINCT ON (h.target_name, s.metric_name, h.health_metric_hk)
           h.target_name::text, s.metric_name::text, s.metric_value, s.metric_unit::text, s.status::text, s.threshold_warning, s.threshold_critical,
           s.measurement_timestamp, round(extract(epoch FROM p_at - s.measurement_timestamp), 1), s.load_date, s.additional_context ->> 'error'
      FROM monitoring.system_health_metric_s s
      JOIN monitoring.system_health_metric_h h USING (health_metric_hk)
     WHERE s.measurement_timestamp <= p_at AND s.measurement_timestamp > p_at - p_lookback
       AND s.load_date <= p_known_at
       AND (s.load_end_date IS NULL OR s.load_end_date > p_known_at)  -- retracted later: it stood then
       AND s.labels = '{}'
       AND (p_target IS NULL OR h.target_name = p_target)
     ORDER BY h.target_name, s.metric_name, h.health_metric_hk, s.measurement_timestamp DESC, s.load_date DESC;
END
$$;
COMMENT ON FUNCTION monitoring.health_as_of(timestamptz, timestamptz, text, interval) IS
    'What the dashboard showed at p_at: the newest sample of each metric within the look-back before it, as known at p_known_at. p_target NULL: every target.';
