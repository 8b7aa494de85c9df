-- Recording of what the controls found (collect/compliance), and how they stand. One key per target,
-- framework and control; each run is a version of it, because that somebody looked is evidence, too.

COMMENT ON COLUMN monitoring.compliance_check_s.control_id IS 'The control, C01 to C38 or one of your own. It has a row for each framework that asks for it.';
COMMENT ON COLUMN monitoring.compliance_check_s.control_severity IS 'How bad it is where the control is not met: LOW, MEDIUM, HIGH or CRITICAL.';
COMMENT ON COLUMN monitoring.compliance_check_s.clauses IS 'The clauses of the framework that ask for it: [{clause, text}].';
COMMENT ON COLUMN monitoring.compliance_check_s.remediation IS 'What to do where it is not met.';
COMMENT ON COLUMN monitoring.compliance_check_s.status_since IS 'Since when each run found this status.';

CREATE OR REPLACE FUNCTION monitoring.compliance_key(p_target text, p_framework text, p_control text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT util.bk(p_target, 'COMPLIANCE', p_framework, p_control) $$;
COMMENT ON FUNCTION monitoring.compliance_key(text, text, text) IS
    'The business key of a control of a framework on a target.';

CREATE OR REPLACE FUNCTION monitoring.remediation_days(p_severity text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE p_severity WHEN 'CRITICAL' THEN 7 WHEN 'HIGH' THEN 30 WHEN 'MEDIUM' THEN 90 ELSE 180 END $$;
COMMENT ON FUNCTION monitoring.remediation_days(text) IS
    'How many days after its first finding a control of a severity must be met.';

CREATE OR REPLACE FUNCTION monitoring.record_compliance_results(
    p_target text, p_at timestamptz, p_run text, p_results jsonb, p_whole boolean DEFAULT false) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    v_written integer;
    v_gone    integer := 0;
BEGIN
    -- Two runs at once: one waits, and then continues what the other found.
    PERFORM pg_advisory_xact_lock(hashtextextended('onevault.compliance/' || p_target, 0));
    WITH given AS MATERIALIZED (
        SELECT r.*, f.framework, f.asked, monitoring.compliance_key(p_target, f.framework, r.control) AS bk
          FROM jsonb_to_recordset(p_results) AS r (
                   control text, title text, asks text, category text, severity text, remediation text, source text, status text,
                   score numeric, evidence jsonb, clauses jsonb),
               LATERAL (SELECT c.framework, jsonb_agg(jsonb_build_object('clause', c.clause, 'text', c.text) ORDER BY c.place) AS asked
                          FROM ROWS FROM (jsonb_to_recordset(r.clauses) AS (framework text, clause text, text text)) WITH ORDINALITY
                               AS c (framework, clause, text, place)
                         GROUP BY c.framework) AS f
    ),
    hubs AS (
        INSERT INTO monitoring.compliance_check_h (compliance_check_hk, compliance_check_bk, target_name)
        SELECT DISTINCT util.hash_binary(g.bk), g.bk, p_target FROM given g
        RETURNING compliance_check_hk
    ),
    judged AS (
        SELECT g.*, util.hash_binary(g.bk) AS hk, s.check_status AS before, s.status_since AS since,
               g.status IN ('NON_COMPLIANT', 'PARTIALLY_COMPLIANT') AS finding,
               -- A finding is open until a run shows that it is remedied: that nobody could tell closes nothing.
               coalesce(s.remediation_required, false) AND g.status <> 'COMPLIANT' AS was_open,
               s.remediation_deadline AS deadline
          FROM given g
          LEFT JOIN monitoring.compliance_check_s s ON s.compliance_check_hk = util.hash_binary(g.bk) AND s.load_end_date IS NULL
         -- A run that is recorded again is there, and one that comes late changes nothing that is known since.
         WHERE s.last_check_timestamp IS NULL OR s.last_check_timestamp < p_at
    )
    INSERT INTO monitoring.compliance_check_s (
        compliance_check_hk, hash_diff, compliance_framework, check_name, check_description, check_category, check_frequency,
        last_check_timestamp, check_status, compliance_score, finding_details, remediation_required, remediation_priority,
        remediation_deadline, evidence_location, audit_trail_reference, control_id, control_severity, clauses, remediation, status_since)
    SELECT j.hk, '\x', j.framework, j.title, j.asks, j.category, 'DAILY',
           p_at, j.status, CASE WHEN j.status <> 'NOT_TESTED' THEN j.score END, j.evidence,
           j.finding OR j.was_open, CASE WHEN j.finding OR j.was_open THEN j.severity END,
           -- The first finding's, whatever the runs since then; a control that became more severe may bring it nearer.
           CASE WHEN j.finding OR j.was_open
                THEN least(CASE WHEN j.was_open THEN j.deadline END, (p_at AT TIME ZONE 'UTC')::date + monitoring.remediation_days(j.severity)) END,
           j.source, p_run, j.control, j.severity, j.asked, j.remediation,
           CASE WHEN j.before = j.status THEN coalesce(j.since, p_at) ELSE p_at END
      FROM judged j;
    GET DIAGNOSTICS v_written = ROW_COUNT;

    -- What is asked no more must not stand as it was found last.
    IF p_whole THEN
        INSERT INTO monitoring.compliance_check_s (
            compliance_check_hk, hash_diff, compliance_framework, check_name, check_description, check_category, check_frequency,
            last_check_timestamp, check_status, finding_details, remediation_required, evidence_location, audit_trail_reference,
            control_id, control_severity, clauses, remediation, status_since)
        SELECT s.compliance_check_hk, '\x', s.compliance_framework, s.check_name, s.check_description, s.check_category, s.check_frequency,
               p_at, 'NOT_TESTED', '{"reason": "this control is no longer among those that are run", "retired": true}', false, s.evidence_location, p_run,
               s.control_id, s.control_severity, s.clauses, s.remediation, p_at
          FROM monitoring.compliance_check_s s
          JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
         WHERE s.load_end_date IS NULL AND h.target_name = p_target AND s.control_id IS NOT NULL AND s.last_check_timestamp < p_at
           AND NOT coalesce(s.finding_details ? 'retired', false)
           AND NOT EXISTS (SELECT FROM jsonb_to_recordset(p_results) AS r (control text, clauses jsonb),
                                       jsonb_to_recordset(r.clauses) AS c (framework text)
                            WHERE monitoring.compliance_key(p_target, c.framework, r.control) = h.compliance_check_bk);
        GET DIAGNOSTICS v_gone = ROW_COUNT;
    END IF;
    RETURN v_written + v_gone;
END
$$;
COMMENT ON FUNCTION monitoring.record_compliance_results(text, timestamptz, text, jsonb, boolean) IS
    'Records one run of the controls on a target: [{control, title, asks, category, severity, remediation, source, status, score, evidence, clauses: [{framework, clause, text}]}]. A whole run also marks the controls that are run no more. Recorded again it changes nothing. Returns how many versions were written.';

CREATE OR REPLACE VIEW monitoring.compliance_dashboard AS
SELECT h.target_name,
       s.compliance_framework,
       s.control_id,
       s.check_name,
       s.check_category,
       (SELECT string_agg(c ->> 'clause', ', ') FROM jsonb_array_elements(s.clauses) AS c) AS clause_list,
       s.check_status,
       s.compliance_score,
       s.control_severity,
       s.status_since,
       s.last_check_timestamp,
       s.remediation_required,
       s.remediation_deadline,
       coalesce(s.remediation_required AND s.remediation_deadline < (now() AT TIME ZONE 'UTC')::date, false) AS overdue,
       s.remediation,
       s.finding_details,
       s.audit_trail_reference
  FROM monitoring.compliance_check_s s
  JOIN monitoring.compliance_check_h h USING (compliance_check_hk)
 WHERE s.load_end_date IS NULL
   AND NOT coalesce(s.finding_details ? 'retired', false);
COMMENT ON VIEW monitoring.compliance_dashboard IS 'How each control of each framework stands: status, score, severity, deadline.';
COMMENT ON COLUMN monitoring.compliance_dashboard.clause_list IS 'The clauses of the framework that ask for it.';
COMMENT ON COLUMN monitoring.compliance_dashboard.overdue IS 'Whether its remediation is past its deadline.';
