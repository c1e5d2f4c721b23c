#!/bin/bash
# run.sh [AREA,…]: replay recorded answers of Backstage against servers of our own, on fresh databases.
# Takes the recorded cases from $SHARED/acceptance; without them there is nothing to do.
# DATABASE=sqlite       one server on SQLite
#          postgres     one server on PostgreSQL
#          replicas     two servers on one PostgreSQL, behind nginx, which lets them take turns
# Without it: sqlite, and replicas if nginx is installed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
shared=$(cd "${SHARED:-$here/../../../shared}" 2>/dev/null && pwd || true)
cases=$shared/acceptance
if [ ! -d "$cases" ]; then
  echo "conformance: no recorded cases at ${SHARED:-../shared}/acceptance, skipped"
  exit 0
fi
PATH=$PATH:/usr/sbin:/usr/local/sbin
if [ -z "${DATABASE:-}" ]; then
  DATABASE=sqlite "$0" "$@"
  if ! command -v nginx >/dev/null; then
    echo "conformance on replicas: skipped, nginx is not installed (Debian: apt-get install nginx-light)"
    exit 0
  fi
  DATABASE=replicas exec "$0" "$@"
fi

areas=${1:-catalog-query,catalog-predicates,catalog-facets,catalog-lookup,catalog-entities,catalog-locations,catalog-sequences,health,cors,errors,auth}
wanted=${WANTED:-99}
work=$(mktemp -d)
processes=()
cleanup() {
  # In the opposite order: the database last.
  for ((at = ${#processes[@]} - 1; at >= 0; at--)); do
    kill "${processes[at]}" 2>/dev/null || true
    wait "${processes[at]}" 2>/dev/null || true
  done
  if [ -n "${KEEP_LOG:-}" ]; then cat "$work"/*.log > "$KEEP_LOG" || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

export FIXTURES_DIR=$(cd "$cases/public" && pwd) PORT=${PORT:-7117}
export BASE_URL=http://localhost:$PORT CONFORMANCE_TOKEN=conformance-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
export DATABASE_HOST=127.0.0.1 DATABASE_PORT=5432 DATABASE_USER=postgres DATABASE_PASSWORD=unused DATABASE_PREFIX=conformance_
echo "$CONFORMANCE_TOKEN" > "$work/token"
if [ "$DATABASE" = sqlite ]; then
  printf 'backend:\n  database:\n    client: better-sqlite3\n    connection:\n      filename: %s\n' "$work/callboard.sqlite" > "$work/database.yaml"
else
  python "$here/postgres.py" "$work/pg" > "$work/postgres-url" &
  processes+=($!)
  for _ in $(seq 100); do [ -s "$work/postgres-url" ] && break; sleep 0.2; done
  printf 'backend:\n  database:\n    client: pg\n    connection: %s\n' "$(cat "$work/postgres-url")" > "$work/database.yaml"
fi

serve() { # NAME OPTION…: start a server with a data directory of its own
  local name=$1
  shift
  callboard serve --config "$cases/public/app-config.yaml" --config "$work/database.yaml" \
    --data-dir "$work/$name" "$@" > "$work/$name.log" 2>&1 &
  processes+=($!)
}

settle() { # URL: wait until a server answers with all there is
  python "$here/settled.py" "$1" "$CONFORMANCE_TOKEN" || { tail -50 "$work"/*.log; exit 1; }
}

if [ "$DATABASE" = replicas ]; then
  one=$((PORT + 1)) other=$((PORT + 2))
  serve one --port $one --workers 1
  serve other --port $other --workers 1 --role web
  (cd "$here/../.." && python -m tests.e2e.nginx "$work" "$PORT" $one $other) > "$work/nginx.conf"
  nginx -p "$work" -c "$work/nginx.conf" 2> "$work/nginx.log" &
  processes+=($!)
  settle "http://localhost:$one"
  settle "http://localhost:$other"
else
  serve one
fi
settle "$BASE_URL"

python "$cases/conformance.py" check --settle 0 --base "$BASE_URL" --token-file "$work/token" --cases "$cases/public/cases" \
  --only "$areas" --list-failures "${FAILURES:-40}" | tee "$work/report" || true
for case in $(sed -n 's/^FAIL \([^ ]*\) .*/\1/p' "$work/report"); do
  reason=$(sed -n "s/^$case //p" "$here/differences.txt")
  echo "$case: ${reason:-NOT EXPECTED to differ}"
done
passed=$(tail -n 1 "$work/report" | cut -d/ -f1) total=$(tail -n 1 "$work/report" | cut -d/ -f2)
if [ "$DATABASE" = replicas ]; then
  for replica in $one $other; do
    answered=$(grep -c "127.0.0.1:$replica " "$work/access.log" || true)
    echo "the replica on port $replica answered $answered requests"
    [ "$answered" -gt 100 ] || [ "$answered" -gt "$((total / 4))" ]
  done
fi
echo "conformance on $DATABASE: $passed of $total, wanted $wanted %"
[ $((passed * 100)) -ge $((total * wanted)) ]
