-- file: functions.csv
-- about: The scripts of functions and views that were put, with the SHA-256 of their text; and each function whose body is not the one that they put.
SELECT 'SCRIPT' AS kind, f.script_name AS name, f.sha256 AS state, f.put_at
  FROM public.onevault_functions f
UNION ALL
SELECT 'FUNCTION', r.function_signature, r.function_state || ' by ' || coalesce(r.function_owner, 'nobody'), NULL
  FROM monitoring.replaced_functions() AS r
 ORDER BY 1, 2
