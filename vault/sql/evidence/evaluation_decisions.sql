-- file: evaluation_decisions.csv
-- about: The evaluations that decided something (FIRED, SUPPRESSED, UNSUPPRESSED, RESOLVED), with their inputs and the version of the definition.
SELECT h.alert_definition_bk AS definition,
       e.target_name AS target,
       e.tenant_hk AS tenant_key,
       e.evaluated_at,
       e.result,
       e.decision,
       e.evaluated_value,
       e.inputs,
       e.reason,
       e.definition_load_date AS definition_version,
       e.load_date AS recorded_from
  FROM monitoring.alert_evaluation_s e
  JOIN monitoring.alert_definition_h h USING (alert_definition_hk)
 WHERE e.evaluated_at >= @period_from
   AND e.evaluated_at < @period_to
   AND e.load_date < @period_to
   AND (e.load_end_date IS NULL OR e.load_end_date >= @period_to)
   AND (@target::text IS NULL OR e.target_name = @target)
   AND e.decision NOT IN ('NONE', 'PENDING', 'HOLDING')
 ORDER BY h.alert_definition_bk COLLATE "C", e.target_name COLLATE "C", e.tenant_hk NULLS FIRST, e.evaluated_at, e.load_date
