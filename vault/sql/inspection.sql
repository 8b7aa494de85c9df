-- What stands in the vault about the health of OneVault itself: one row.
SELECT clock_timestamp() AS now,
       (SELECT max(s.measurement_timestamp)
          FROM monitoring.system_health_metric_s s
         WHERE s.load_end_date IS NULL AND s.measurement_timestamp > statement_timestamp() - interval '8 days') AS last_collection,
       (SELECT coalesce(max(s.measurement_interval_seconds), 0)
          FROM monitoring.system_health_metric_s s
         WHERE s.metric_name = 'target_reachable' AND s.load_end_date IS NULL AND s.measurement_timestamp > statement_timestamp() - interval '1 hour') AS collection_interval_seconds,
       (SELECT max(e.evaluated_at)
          FROM monitoring.alert_evaluation_s e
         WHERE e.load_end_date IS NULL AND e.evaluated_at > statement_timestamp() - interval '8 days') AS last_evaluation,
       (SELECT coalesce(min(d.evaluation_frequency_minutes), 0)
          FROM monitoring.alert_definition_s d
         WHERE d.load_end_date IS NULL AND d.is_enabled AND d.metric_source NOT IN ('worker', 'external')) AS evaluation_minutes,
       (SELECT count(*)
          FROM monitoring.outbox o
         WHERE o.relayed_at IS NULL AND o.created_at < statement_timestamp() - interval '1 minute') AS unrelayed,
       (SELECT min(o.created_at) FROM monitoring.outbox o WHERE o.relayed_at IS NULL) AS oldest_unrelayed
