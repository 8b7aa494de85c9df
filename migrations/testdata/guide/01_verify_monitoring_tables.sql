-- Connect to database

-- Check monitoring tables
SELECT schemaname, tablename, tableowner 
FROM pg_tables 
WHERE schemaname = 'monitoring'
ORDER BY tablename;

-- Check monitoring functions
SELECT routine_name, routine_type 
FROM information_schema.routines 
WHERE routine_schema = 'monitoring'
ORDER BY routine_name;

-- Test system health metrics collection
SELECT * FROM monitoring.collect_system_health_metrics();
