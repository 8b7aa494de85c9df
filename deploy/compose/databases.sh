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

-- The roles of the vault, to which it gives its rights: for people who get a login of their own.
CREATE ROLE onevault_owner NOLOGIN;
CREATE ROLE onevault_collector NOLOGIN;
CREATE ROLE onevault_worker NOLOGIN;
CREATE ROLE onevault_operator NOLOGIN;
CREATE ROLE onevault_reader NOLOGIN;
CREATE ROLE onevault_sql NOLOGIN;
GRANT pg_monitor TO onevault_collector;
GRANT onevault_collector TO onevault_worker;
GRANT onevault_sql TO onevault_owner;
GRANT onevault_owner TO onevault;

\connect onevault
CREATE EXTENSION pg_stat_statements;
SQL
