-- The inputs of incidents at each of a series of looks, of the versions that stood then.
-- $1: the first look; $2: seconds between looks; $3: how many; $4: target; $5: tenant; $6: seconds of the look-back.
WITH stood AS (
    SELECT n, s.incident_status AS status, s.sla_breach,
           monitoring.incident_sla_status(s.incident_status, s.created_timestamp, $1::timestamptz + make_interval(secs => $2::float8 * n)) AS sla
      FROM monitoring.incident_s s
      JOIN monitoring.incident_h h USING (incident_hk)
     CROSS JOIN LATERAL generate_series(
               greatest(0, ceil(extract(epoch FROM greatest(s.load_date, s.created_timestamp) - $1::timestamptz) / $2::numeric)::integer),
               least($3::integer, coalesce(ceil(extract(epoch FROM s.load_end_date - $1::timestamptz) / $2::numeric)::integer, $3)) - 1) AS n
     WHERE s.incident_status <> 'CLOSED' AND ($5::bytea IS NULL OR h.tenant_hk = $5) AND $4::text IS NOT NULL AND $6::float8 IS NOT NULL
)
SELECT look.n, i.name, i.value::text
  FROM (SELECT g.n, count(*) FILTER (WHERE s.status IN ('OPEN', 'INVESTIGATING')) AS open,
               count(*) FILTER (WHERE s.sla = 'OVERDUE_RESPONSE') AS response, count(*) FILTER (WHERE s.sla = 'OVERDUE_RESOLUTION') AS resolution,
               count(*) FILTER (WHERE s.status IN ('OPEN', 'INVESTIGATING') AND (s.sla_breach OR s.sla <> 'ON_TRACK')) AS breached
          FROM generate_series(0, $3::integer - 1) AS g (n)
          LEFT JOIN stood s ON s.n = g.n
         GROUP BY g.n) AS look
 CROSS JOIN LATERAL (VALUES ('open_incidents', look.open), ('incidents_overdue_response', look.response),
                            ('incidents_overdue_resolution', look.resolution), ('sla_breached_open_incidents', look.breached)) AS i (name, value)
