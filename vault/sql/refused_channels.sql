SELECT channel,
       refused,
       last_at,
       reason
  FROM monitoring.refused_channels(statement_timestamp())
