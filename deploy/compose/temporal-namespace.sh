#!/bin/sh
# Creates the namespace where it is missing. Closed workflows stay readable in Temporal for a week; the
# vault keeps what happened for as long as it is told to.
set -eu

tries=30
until temporal operator cluster health; do
	tries=$((tries - 1))
	if [ "$tries" -eq 0 ]; then
		echo "Temporal at $TEMPORAL_ADDRESS does not get healthy; see: docker compose logs temporal" >&2
		exit 1
	fi
	sleep 2
done

if temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
	echo "namespace $TEMPORAL_NAMESPACE exists"
else
	temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 168h
fi
