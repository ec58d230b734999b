#!/bin/sh
# POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS and /docker-entrypoint-initdb.d/*.sql as in the official image.
set -eu
user=${POSTGRES_USER:-postgres} database=${POSTGRES_DB:-${POSTGRES_USER:-postgres}}
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA" && chown -R postgres:postgres "$PGDATA" && chmod 700 "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  [ -n "${POSTGRES_PASSWORD:-}" ] || { echo 'POSTGRES_PASSWORD is not set' >&2; exit 1; }
  file=$(mktemp)
  printf '%s\n' "$POSTGRES_PASSWORD" > "$file"
  # shellcheck disable=SC2086 # arguments, as in the official image
  initdb --username="$user" --pwfile="$file" --auth-local=trust --auth-host=trust ${POSTGRES_INITDB_ARGS:-}
  rm "$file"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  pg_ctl -w start -o "-c listen_addresses=''"
  [ "$database" = postgres ] || createdb --username="$user" "$database"
  for sql in /docker-entrypoint-initdb.d/*.sql; do
    [ ! -f "$sql" ] || psql -v ON_ERROR_STOP=1 --username="$user" --dbname="$database" --file="$sql"
  done
  pg_ctl -w -m fast stop
fi
exec "$@" -c listen_addresses='*'
