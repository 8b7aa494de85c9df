-- section: changes
-- title: Changes of alert definitions, channels and escalation policies
-- empty: Nothing was changed.
SELECT to_char(c.at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI') AS "AT",
       c.kind AS "KIND",
       c.key AS "KEY",
       c.name AS "NAME*",
       CASE WHEN c.enabled THEN 'enabled' ELSE 'disabled' END AS "STATE",
       c.author AS "BY",
       c.source AS "RECORDED BY"
  FROM (
        SELECT d.recorded_from AS at, 'definition' AS kind, d.definition AS key, d.name, d.enabled, d.last_modified_by AS author, d.recorded_by AS source
          FROM {alert_definitions.csv} AS d
        UNION ALL
        SELECT n.recorded_from, 'channel', n.channel, n.name, n.enabled, n.created_by, n.recorded_by
          FROM {notification_channels.csv} AS n
        UNION ALL
        SELECT p.recorded_from, 'policy', p.policy, p.name, p.enabled, p.changed_by, p.recorded_by
          FROM {escalation_policies.csv} AS p
       ) AS c
 WHERE c.at >= @period_from
 ORDER BY c.at, c.kind COLLATE "C", c.key COLLATE "C"
