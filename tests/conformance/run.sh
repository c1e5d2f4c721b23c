#!/bin/bash
# run.sh [AREA,…]: replay recorded answers of Backstage against a server of our own, on a fresh
# database. Takes the recorded cases from $SHARED/acceptance; without them there is nothing to do.
# DATABASE=sqlite (default) or postgres.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
shared=${SHARED:-$here/../../../shared}
cases=$shared/acceptance
if [ ! -d "$cases" ]; then
  echo "conformance: no recorded cases at $cases, skipped"
  exit 0
fi
areas=${1:-catalog-query,catalog-predicates,catalog-facets,catalog-lookup,catalog-entities,health,cors,errors,auth}
wanted=${WANTED:-98}
work=$(mktemp -d)
cleanup() {
  [ -z "${server:-}" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
  [ -z "${postgres:-}" ] || { kill "$postgres" 2>/dev/null || true; wait "$postgres" 2>/dev/null || true; }
  rm -rf "$work"
}
trap cleanup EXIT

export FIXTURES_DIR=$(cd "$cases/public" && pwd) PORT=${PORT:-7117}
export BASE_URL=http://localhost:$PORT CONFORMANCE_TOKEN=conformance-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
export DATABASE_HOST=127.0.0.1 DATABASE_PORT=5432 DATABASE_USER=postgres DATABASE_PASSWORD=unused DATABASE_PREFIX=conformance_
echo "$CONFORMANCE_TOKEN" > "$work/token"
if [ "${DATABASE:-sqlite}" = postgres ]; then
  python "$here/postgres.py" "$work/pg" > "$work/postgres-url" &
  postgres=$!
  for _ in $(seq 100); do [ -s "$work/postgres-url" ] && break; sleep 0.2; done
  printf 'backend:\n  database:\n    client: pg\n    connection: %s\n' "$(cat "$work/postgres-url")" > "$work/database.yaml"
else
  printf 'backend:\n  database:\n    client: better-sqlite3\n    connection:\n      filename: %s\n' "$work/callboard.sqlite" > "$work/database.yaml"
fi

callboard serve --config "$cases/public/app-config.yaml" --config "$work/database.yaml" \
  --data-dir "$work/data" > "$work/server.log" 2>&1 &
server=$!
python "$here/settled.py" "$BASE_URL" "$CONFORMANCE_TOKEN" || { tail -50 "$work/server.log"; exit 1; }
python "$cases/conformance.py" check --settle 0 --base "$BASE_URL" --token-file "$work/token" --cases "$cases/public/cases" \
  --only "$areas" --list-failures "${FAILURES:-40}" | tee "$work/report" || true
passed=$(tail -n 1 "$work/report" | cut -d/ -f1) total=$(tail -n 1 "$work/report" | cut -d/ -f2)
if [ -n "${KEEP_LOG:-}" ]; then cp "$work/server.log" "$KEEP_LOG"; fi
echo "conformance on ${DATABASE:-sqlite}: $passed of $total, wanted $wanted %"
[ $((passed * 100)) -ge $((total * wanted)) ]
