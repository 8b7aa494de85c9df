-- check: hba_changes
-- kind: CHANGE
-- event: HBA_CHANGED
-- description: Rules of pg_hba.conf that came or went; of their options the names alone
-- requires: pg_hba_file_rules
-- calls: pg_hba_file_rules()
SELECT 'HBA_CHANGED', CASE WHEN bool_or(h.auth_method IN ('trust', 'password')) THEN 'HIGH' ELSE 'MEDIUM' END,
       concat_ws(' ', h.type, array_to_string(h.database, ','), array_to_string(h.user_name, ','), h.address, h.netmask, h.auth_method),
       NULL::timestamptz, NULL::text, NULL::inet, NULL::text, NULL::text[],
       jsonb_build_object('group', 'pg_hba.conf', 'state', jsonb_build_object('times', count(*),
           'options', min(ARRAY(SELECT split_part(o, '=', 1) FROM unnest(h.options) AS o ORDER BY 1)))), 50.0,
       ARRAY['See who changed the file, and whether it was approved'], NULL::numeric
  FROM pg_hba_file_rules h
 WHERE h.error IS NULL
 GROUP BY 3
