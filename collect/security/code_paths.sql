-- check: code_paths
-- kind: STATE
-- event: UNTRUSTED_LANGUAGE, C_FUNCTION, FOREIGN_SERVER, EVENT_TRIGGER_DISABLED
-- description: Ways out of the database and around its guards: untrusted languages, C functions of no extension, foreign servers, event triggers that are switched off
SELECT 'UNTRUSTED_LANGUAGE', 'MEDIUM', format('language %I', l.lanname), NULL::timestamptz, pg_get_userbyid(l.lanowner)::text, NULL::inet, current_database()::text, NULL::text[],
       jsonb_build_object('language', l.lanname), 40.0,
       ARRAY[format('If nobody needs it: DROP EXTENSION %I', l.lanname), 'Its functions may do whatever the server''s operating system account may'], NULL::numeric
  FROM pg_language l
 WHERE NOT l.lanpltrusted AND l.lanname NOT IN ('internal', 'c')
UNION ALL
SELECT 'C_FUNCTION', 'HIGH', 'function ' || p.oid::regprocedure, NULL, pg_get_userbyid(p.proowner)::text, NULL, current_database()::text, NULL,
       jsonb_build_object('function', p.oid::regprocedure::text, 'library', p.probin), 30.0,
       ARRAY[format('If nobody approved it: DROP FUNCTION %s', p.oid::regprocedure), 'Look at the library''s file on the server: who put it there, and when'], NULL
  FROM pg_proc p
  JOIN pg_language l ON l.oid = p.prolang
 WHERE l.lanname = 'c' AND p.oid >= 16384
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT 'FOREIGN_SERVER', 'MEDIUM', format('server %I', f.srvname), NULL, pg_get_userbyid(f.srvowner)::text, NULL, current_database()::text, NULL,
       jsonb_build_object('server', f.srvname, 'wrapper', w.fdwname, 'leads_to', to_jsonb(ARRAY(
           SELECT o FROM unnest(f.srvoptions) AS o WHERE o ~ '^(host|hostaddr|port|dbname)=' ORDER BY o))), 50.0,
       ARRAY[format('If nobody needs it: DROP SERVER %I CASCADE', f.srvname), 'See where it leads, and which rows can leave by it'], NULL
  FROM pg_foreign_server f
  JOIN pg_foreign_data_wrapper w ON w.oid = f.srvfdw
UNION ALL
SELECT 'EVENT_TRIGGER_DISABLED', 'HIGH', format('event trigger %I', e.evtname), NULL, pg_get_userbyid(e.evtowner)::text, NULL, current_database()::text, NULL,
       jsonb_build_object('event_trigger', e.evtname, 'event', e.evtevent, 'calls', e.evtfoid::regproc), 30.0,
       ARRAY[format('ALTER EVENT TRIGGER %I ENABLE', e.evtname), 'What it guarded was unguarded since: look at what was changed'], NULL
  FROM pg_event_trigger e
 WHERE e.evtenabled = 'D'
