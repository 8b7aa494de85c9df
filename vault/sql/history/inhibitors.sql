-- Which of these sources (counted from 0), while an alert of it is active, speak for alerts with these facts.
-- $1: the facts of each source; $2: the facts of the alert.
SELECT DISTINCT u.o::integer - 1
  FROM monitoring.inhibition_current i
  JOIN unnest($1::jsonb[]) WITH ORDINALITY AS u (facts, o) ON u.facts ->> 'definition' = i.source_definition
 WHERE i.is_enabled
   AND monitoring.speaks_for(i.source_definition, monitoring.inhibition_equals(i.equal_fields, u.facts), i.muted_matchers, $2::jsonb)
 ORDER BY 1
