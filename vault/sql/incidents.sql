-- $1: closed ones too, $2: created since (NULL: ever), $3: hash keys (NULL: any).
SELECT i.short_id, i.incident_bk, encode(i.incident_hk, 'hex'), i.workflow_id, coalesce(i.tenant, ''),
       i.incident_title, i.incident_status, i.incident_severity, i.incident_priority, coalesce(i.assigned_to, ''),
       coalesce(i.affected_services, '{}'),
       i.created_timestamp, coalesce(i.created_by, ''), i.first_response_timestamp, coalesce(i.first_response_by, ''),
       i.resolved_timestamp, coalesce(i.resolved_by, ''), i.closed_timestamp, coalesce(i.closed_by, ''), i.reopened_at,
       coalesce(i.sla_breach, false), i.response_breached_at, i.resolution_breached_at,
       i.response_time_minutes, i.resolution_time_minutes, i.changed_at, coalesce(i.changed_by, ''), coalesce(i.changed_via, ''),
       i.alerts, i.active_alerts, i.last_alert_resolved_at,
       i.alert_acknowledged_at, coalesce(i.alert_acknowledged_by, ''), coalesce(i.acknowledged_alert, ''),
       coalesce(i.incident_description, ''), coalesce(i.resolution_summary, ''), coalesce(i.root_cause_analysis, '')
  FROM monitoring.incident_current i
 WHERE ($1 OR i.incident_status <> 'CLOSED')
   AND ($2::timestamptz IS NULL OR i.created_timestamp >= $2)
   AND ($3::bytea[] IS NULL OR i.incident_hk = ANY ($3))
 ORDER BY CASE WHEN NOT $1 THEN i.incident_status = 'RESOLVED' END,
          CASE WHEN NOT $1 THEN i.incident_priority END,
          i.created_timestamp DESC, i.incident_hk
