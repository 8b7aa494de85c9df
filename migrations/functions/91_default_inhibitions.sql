-- The inhibitions that a new vault begins with. One that somebody changed or disabled stays as it is.

SELECT monitoring.enforce_discipline();

WITH defaults (inhibition_key, source_definition, muted_matchers, inhibition_comment) AS (
    VALUES
        ('TARGET_DOWN', 'TARGET_UNREACHABLE', -- What is read in the vault says nothing about the target, and goes on being told.
         '{"source!~^(backup_failures|notifications|incidents|worker|external)$"}'::text[],
         'A target that does not answer fires whatever rests on it; one message says it.'),
        ('DISK_FULL', 'DISK_CRITICAL', '{definition=~^(DISK_WARNING|CAPACITY_FORECAST_FULL)$}',
         'A disk that is nearly full is also rather full, and was forecast to be.')
),
new_hubs AS (
    INSERT INTO monitoring.inhibition_h (inhibition_hk, inhibition_bk, record_source)
    SELECT util.hash_binary(d.inhibition_key), d.inhibition_key, 'SETUP_SCRIPT' FROM defaults d
    ON CONFLICT DO NOTHING
    RETURNING inhibition_hk
)
INSERT INTO monitoring.inhibition_s (inhibition_hk, hash_diff, source_definition, muted_matchers, inhibition_comment, record_source)
SELECT n.inhibition_hk, '\x', d.source_definition, d.muted_matchers, d.inhibition_comment, 'SETUP_SCRIPT'
  FROM defaults d
  JOIN new_hubs n ON n.inhibition_hk = util.hash_binary(d.inhibition_key);
