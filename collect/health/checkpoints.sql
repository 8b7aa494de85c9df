-- metric checkpoints_timed_per_h [1/h] PERFORMANCE rate: Checkpoints by checkpoint_timeout, per hour
-- metric checkpoints_requested_per_h [1/h] PERFORMANCE rate warning 6 critical 60: Checkpoints forced by the volume of WAL or by somebody, per hour; many: raise max_wal_size
-- metric checkpoint_write_ms_per_s [ms/s] PERFORMANCE rate: Time in which checkpoints wrote, per second
-- metric checkpoint_sync_ms_per_s [ms/s] PERFORMANCE rate warning 100 critical 500: Time in which checkpoints waited for fsync, per second
-- metric checkpoint_buffers_per_s [1/s] PERFORMANCE rate: Buffers that checkpoints wrote
-- metric bgwriter_buffers_per_s [1/s] PERFORMANCE rate: Buffers that the background writer wrote ahead
-- metric bgwriter_halts_per_h [1/h] PERFORMANCE rate: How often the background writer stopped at bgwriter_lru_maxpages, per hour
-- metric backend_buffers_per_s [1/s] PERFORMANCE rate optional: Buffers that sessions had to write themselves
-- metric buffers_allocated_per_s [1/s] PERFORMANCE rate: Buffers taken for other pages
-- every 5m
-- from pg_stat_bgwriter
-- since stats_reset

-- versions 14-16
SELECT checkpoints_timed AS checkpoints_timed_per_h,
       checkpoints_req AS checkpoints_requested_per_h,
       checkpoint_write_time AS checkpoint_write_ms_per_s,
       checkpoint_sync_time AS checkpoint_sync_ms_per_s,
       buffers_checkpoint AS checkpoint_buffers_per_s,
       buffers_clean AS bgwriter_buffers_per_s,
       maxwritten_clean AS bgwriter_halts_per_h,
       buffers_backend AS backend_buffers_per_s,
       buffers_alloc AS buffers_allocated_per_s,
       stats_reset
  FROM pg_stat_bgwriter

-- versions 17-
SELECT c.num_timed AS checkpoints_timed_per_h,
       c.num_requested AS checkpoints_requested_per_h,
       c.write_time AS checkpoint_write_ms_per_s,
       c.sync_time AS checkpoint_sync_ms_per_s,
       c.buffers_written AS checkpoint_buffers_per_s,
       b.buffers_clean AS bgwriter_buffers_per_s,
       b.maxwritten_clean AS bgwriter_halts_per_h,
       (SELECT sum(i.writes) FROM pg_stat_io i WHERE i.backend_type = 'client backend' AND i.object = 'relation') AS backend_buffers_per_s,
       b.buffers_alloc AS buffers_allocated_per_s,
       greatest(c.stats_reset, b.stats_reset) AS stats_reset
  FROM pg_stat_checkpointer c, pg_stat_bgwriter b
