-- What each of a series of looks found of one label set: what is recorded of it holds until something changes, but for
-- the value, which is known where it changed.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: the definition; $5: target; $6: the label set.
SELECT n, coalesce(e.result, 'NO_DATA'), e.value, coalesce(e.decision, 'NONE')
  FROM generate_series(0, $3::integer - 1) AS n
  LEFT JOIN LATERAL (
           SELECT s.result, s.decision,
                  CASE WHEN s.evaluated_at = $1::timestamptz + make_interval(secs => $2::float8 * n) THEN s.evaluated_value::float8 END AS value
             FROM monitoring.alert_label_evaluation_s s
            WHERE s.alert_definition_hk = util.hash_binary($4::text) AND s.target_name = $5::text AND s.labels = $6::jsonb
              AND s.evaluated_at <= $1::timestamptz + make_interval(secs => $2::float8 * n)
            ORDER BY s.evaluated_at DESC
            LIMIT 1) AS e ON true
 ORDER BY n
