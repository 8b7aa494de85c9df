-- The recipient groups that there are, and those that enabled channels name, each with its members in their order.
SELECT n.name, h.recipient_group_hk IS NOT NULL,
       ARRAY(SELECT c.contact_bk
               FROM monitoring.group_members(n.name) AS m
               JOIN monitoring.contact_h c USING (contact_hk)
              ORDER BY m.member_position, c.contact_bk)::text[],
       ARRAY(SELECT k.notification_config_bk
               FROM monitoring.notification_config_h k
               JOIN monitoring.notification_config_s s ON s.notification_config_hk = k.notification_config_hk AND s.load_end_date IS NULL
              WHERE s.is_enabled AND n.name = ANY (s.recipient_groups)
              ORDER BY k.notification_config_bk)::text[]
  FROM (SELECT recipient_group_bk::text AS name FROM monitoring.recipient_group_h
         UNION
        SELECT unnest(recipient_groups) FROM monitoring.notification_config_s WHERE load_end_date IS NULL AND is_enabled) AS n
  LEFT JOIN monitoring.recipient_group_h h ON h.recipient_group_bk = n.name
 ORDER BY n.name
