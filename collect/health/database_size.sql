-- metric database_size_gb [GB] CAPACITY warning 50 critical 80: Size of the connected database
-- every 15m
-- from pg_database_size

-- Asked of the file system, file by file: half of what a collection costs a server with 10,000 tables.
SELECT round(pg_database_size(current_database()) / 1073741824.0, 4) AS database_size_gb
