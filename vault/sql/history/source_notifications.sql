-- The inputs of notifications at each of a series of looks, of the versions that stood then.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: target; $5: tenant; $6: seconds of the look-back.
WITH stood AS (
    SELECT n, s.delivery_status AS status, s.sent_timestamp < $1::timestamptz + make_interval(secs => $2::float8 * n) - interval '5 minutes' AS late
      FROM monitoring.notification_log_s s
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM s.load_date - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, ceil(extract(epoch FROM least(s.load_end_date, s.sent_timestamp + interval '1 hour') - $1::timestamptz) / $2::numeric)::integer) - 1) AS n
     WHERE s.sent_timestamp > $1::timestamptz - interval '1 hour' AND $4::text IS NOT NULL AND $5::bytea IS NOT DISTINCT FROM $5 AND $6::float8 IS NOT NULL
),
-- The rate of each channel, as monitoring.delivery_rates has it.
given AS (
    SELECT n, h.notification_config_hk, s.delivery_status AS status
      FROM monitoring.notification_log_s s
      JOIN monitoring.notification_log_h h USING (notification_log_hk)
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM s.load_date - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, ceil(extract(epoch FROM least(s.load_end_date, s.sent_timestamp + interval '24 hours') - $1::timestamptz) / $2::numeric)::integer) - 1) AS n
     WHERE s.sent_timestamp > $1::timestamptz - interval '24 hours' AND s.delivery_status IN ('DELIVERED', 'SENT', 'FAILED', 'BOUNCED')
),
rates AS (
    SELECT r.n, min(r.pct) AS pct
      FROM (SELECT g.n, round(100.0 * count(*) FILTER (WHERE g.status IN ('DELIVERED', 'SENT')) / count(*), 2) AS pct
              FROM given g
             GROUP BY g.n, g.notification_config_hk
            HAVING count(*) >= 20) AS r
     GROUP BY r.n
),
-- What circuits refused, for the looks alone that have a refusal to look back on.
circuits AS (
    SELECT l.n, max(round(extract(epoch FROM l.at - c.since) / 60, 1)) AS minutes
      FROM (SELECT DISTINCT n, $1::timestamptz + make_interval(secs => $2::float8 * n) AS at
              FROM monitoring.notification_log_s s
             CROSS JOIN LATERAL generate_series(
                       greatest(0, ceil(extract(epoch FROM s.sent_timestamp - $1::timestamptz) / $2::numeric)::integer),
                       least($3::integer, ceil(extract(epoch FROM s.sent_timestamp + interval '10 minutes' - $1::timestamptz) / $2::numeric)::integer) - 1) AS n
             WHERE s.sent_timestamp > $1::timestamptz - interval '10 minutes' AND s.failure_reason LIKE 'circuit open%') AS l
     CROSS JOIN LATERAL monitoring.refused_channels(l.at) AS c
     GROUP BY l.n
)
SELECT look.n, i.name, i.value::text
  FROM (SELECT g.n, round(100.0 * count(*) FILTER (WHERE s.status IN ('FAILED', 'BOUNCED'))
                          / nullif(count(*) FILTER (WHERE s.status NOT IN ('PENDING', 'DIGESTED', 'SUPPRESSED')), 0), 2) AS failed,
               count(*) FILTER (WHERE s.status = 'PENDING' AND s.late) AS pending
          FROM generate_series(0, $3::integer - 1) AS g (n)
          LEFT JOIN stood s ON s.n = g.n
         GROUP BY g.n) AS look
  LEFT JOIN rates USING (n)
  LEFT JOIN circuits USING (n)
 CROSS JOIN LATERAL (VALUES ('notification_failed_pct', look.failed), ('notification_pending_count', look.pending),
                            ('notification_delivery_pct', rates.pct),
                            ('notification_circuit_open_minutes', coalesce(circuits.minutes, 0))) AS i (name, value)
 WHERE i.value IS NOT NULL
