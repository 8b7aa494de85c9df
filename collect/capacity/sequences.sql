-- resource SEQUENCE: the 10 sequences of the connected database that have used up most; counts of values, not bytes
-- The limit is what the column holds, where a sequence is owned by one: a sequence of bigint may feed an integer.
-- Sequences that begin again are never full. One that nobody may read stands with a NULL in place of its numbers.
-- portions: pg_sequence
-- A sequence that was read stays locked until the transaction ends, and the server has room for some thousands of
-- locks. So a transaction reads 1000, from the ($1 + 1)th on; the first counts those that nobody may read, of all.
WITH portion AS MATERIALIZED (
    SELECT p.* FROM pg_sequence p ORDER BY p.seqrelid OFFSET $1::bigint LIMIT 1000
),
sequences AS (
    SELECT s.seqrelid, s.seqstart, s.seqincrement, has_sequence_privilege(s.seqrelid, 'SELECT, USAGE') AS readable,
           format('%I.%I.%I', current_database(), n.nspname, c.relname) AS name,
           CASE WHEN s.seqincrement > 0 THEN least(s.seqmax, y.largest) ELSE greatest(s.seqmin, -y.largest - 1) END::numeric AS limit_value,
           CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END::numeric AS first_value
      FROM portion s
      JOIN pg_class c ON c.oid = s.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.deptype IN ('a', 'i')
                           AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
      LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
      LEFT JOIN (VALUES ('smallint'::regtype, 32767), ('integer'::regtype, 2147483647)) AS y (type, largest) ON y.type = a.atttypid
     WHERE NOT s.seqcycle AND c.relpersistence <> 't' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
),
read AS MATERIALIZED (
    SELECT s.*, CASE WHEN s.readable THEN pg_sequence_last_value(s.seqrelid) END AS last_value FROM sequences s
),
counted AS (
    SELECT r.name, trunc(abs(r.last_value - r.first_value) / abs(r.seqincrement)) + 1 AS used,
           greatest(trunc((r.limit_value - r.last_value) / r.seqincrement), 0) AS left_over
      FROM read r
     WHERE r.last_value IS NOT NULL
)
(SELECT 'SEQUENCE', c.name, least(c.used, 9223372036854775807)::bigint, least(c.left_over, 9223372036854775807)::bigint, 'pg_sequence'
   FROM counted c
  ORDER BY c.used / (c.used + c.left_over) DESC, c.name
  LIMIT 10)
UNION ALL
SELECT 'SEQUENCE', count(*) || ' sequences that the role may not read', NULL, NULL, 'pg_sequence'
  FROM pg_sequence s
  JOIN pg_class c ON c.oid = s.seqrelid
 WHERE $1::bigint = 0 AND NOT s.seqcycle AND c.relpersistence <> 't' AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery())
   AND NOT has_sequence_privilege(s.seqrelid, 'SELECT, USAGE')
HAVING count(*) > 0
