#!/bin/sh
# Brings Temporal's two databases to the schema of this image's server. Safe to run at each start:
# setup-schema leaves a later version alone, update-schema applies what is missing.
set -eu

for part in temporal:temporal temporal_visibility:visibility; do
	database=${part%%:*}
	schema=${part##*:}
	echo "schema $schema in database $database"
	temporal-sql-tool --database "$database" setup-schema --version 0.0
	temporal-sql-tool --database "$database" update-schema --schema-name "postgresql/v12/$schema"
done
