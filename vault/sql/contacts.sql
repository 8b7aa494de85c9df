-- The contacts as they stand, each with the groups that it belongs to now. $1: the keys, none: all.
SELECT h.contact_bk, s.contact_name, coalesce(s.email_address, ''), coalesce(s.phone_number, ''), coalesce(s.slack_user_id, ''),
       coalesce(s.pagerduty_user_id, ''), s.time_zone, coalesce(to_char(s.quiet_from, 'HH24:MI'), ''), coalesce(to_char(s.quiet_until, 'HH24:MI'), ''),
       coalesce(s.preferred_channels, '{}'), s.is_enabled, s.load_date, s.changed_by,
       ARRAY(SELECT g.recipient_group_bk
               FROM monitoring.recipient_group_h g
              CROSS JOIN LATERAL monitoring.group_members(g.recipient_group_bk) AS m
              WHERE m.contact_hk = h.contact_hk
              ORDER BY g.recipient_group_bk)::text[]
  FROM monitoring.contact_h h
  JOIN monitoring.contact_s s ON s.contact_hk = h.contact_hk AND s.load_end_date IS NULL
 WHERE cardinality(coalesce($1::text[], '{}')) = 0 OR h.contact_bk = ANY ($1)
 ORDER BY h.contact_bk
