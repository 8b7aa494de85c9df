#!/bin/bash
# Runs once, when PostgreSQL's volume is empty: a role and its databases for the vault, another for
# Temporal. Neither is a superuser, neither sees the other's data.
set -euo pipefail

# The passwords go to psql through the environment (\getenv), not as arguments that ps would show.
psql --no-psqlrc --set ON_ERROR_STOP=1 --username postgres --dbname postgres <<'SQL'
\getenv onevault_password ONEVAULT_DB_PASSWORD
\getenv temporal_password TEMPORAL_DB_PASSWORD

CREATE ROLE onevault LOGIN PASSWORD :'onevault_password';
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';

CREATE DATABASE onevault OWNER onevault;
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;

REVOKE CONNECT, TEMPORARY ON DATABASE onevault, temporal, temporal_visibility FROM PUBLIC;

-- What the collectors read of the server: statistics, settings, other sessions.
GRANT pg_monitor TO onevault;

\connect onevault
CREATE EXTENSION pg_stat_statements;
SQL
