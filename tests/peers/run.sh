#!/bin/bash
# run.sh: call a server of our own by Backstage's catalog client, on the demo and, if they are there,
# on the real catalogs in $SHARED/data/corpora; needs node and npm. What npm installs is kept in
# node_modules beside this file. DATABASE=sqlite (default) or postgres.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
shared=${SHARED:-$root/../shared}
for program in node npm; do
  if ! command -v "$program" >/dev/null; then
    echo "peers: $program is not installed, skipped"
    exit 0
  fi
done
if ! node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)'; then
  echo "peers: node $(node --version) is too old, 20 is wanted, skipped"
  exit 0
fi
work=$(mktemp -d)
stop() {
  local pid=$1
  [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; }
}
cleanup() {
  stop "${server:-}"
  stop "${postgres:-}"
  rm -rf "$work"
}
trap cleanup EXIT

installed=$here/node_modules/.installed.json
if ! cmp -s "$here/package-lock.json" "$installed"; then
  (cd "$here" && npm ci --ignore-scripts --no-audit --no-fund)
  cp "$here/package-lock.json" "$installed"
fi

port=${PORT:-7127}
base=http://localhost:$port
export PAGES_PORT=${PAGES_PORT:-7128}
token=peers-$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
cat > "$work/access.yaml" <<END
backend:
  baseUrl: $base
  auth:
    externalAccess:
      - {type: static, options: {token: $token, subject: peers}}
  reading: {allow: [{host: 'localhost:$PAGES_PORT'}]}
auth: {providers: {guest: {dangerouslyAllowOutsideDevelopment: true}}}
END
cat > "$work/corpora.yaml" <<END
catalog:
  rules: [{allow: [Component, API, Resource, System, Domain, Group, User, Template, Location]}]
  locations: []
END
if [ "${DATABASE:-sqlite}" = postgres ]; then
  PYTHONWARNINGS=ignore python "$here/../conformance/postgres.py" "$work/pg" > "$work/postgres-url" &
  postgres=$!
  for _ in $(seq 150); do [ -s "$work/postgres-url" ] && break; sleep 0.2; done
fi

# configure NAME CONFIG…: set `options` so that the command uses these files and a database NAME.
configure() {
  local name=$1
  shift
  if [ "${DATABASE:-sqlite}" = postgres ]; then
    printf 'backend: {database: {client: pg, connection: {connectionString: "%s", database: peers_%s}}}\n' \
      "$(cat "$work/postgres-url")" "$name" > "$work/$name-database.yaml"
    set -- "$@" "$work/$name-database.yaml"
  fi
  options=(--data-dir "$work/$name")
  for config in "$@"; do options+=(--config "$config"); done
}

# ask PATH…: serve as configured, and ask for what is in the files.
ask() {
  callboard serve "${options[@]}" --port "$port" > "$work/server.log" 2>&1 &
  server=$!
  python "$here/../conformance/settled.py" "$base" "$token" || { tail -n 50 "$work/server.log"; return 1; }
  node "$here/catalog-client.mjs" "$base" "$token" "$@" || failed=1
  stop "$server"
  server=
}

# ingest OUT ARGUMENT…: read files into the database; problems in them are what we want to see.
ingest() {
  local out=$1
  shift
  callboard ingest "${options[@]}" --json "$@" > "$out" 2> "$work/ingest.log" || [ $? = 1 ]
  [ -s "$out" ] || { tail -n 20 "$work/ingest.log"; return 1; }
}

export NODE_NO_WARNINGS=1
failed=0
cd "$root"
configure demo catalog-info/app-config.yaml "$work/access.yaml"
ask "$root/catalog-info/all.yaml"

corpora=$shared/data/corpora
if [ -d "$corpora" ]; then
  corpora=$(cd "$corpora" && pwd)
  folders=()
  for name in giantswarm software-templates; do
    folder=$corpora/$name
    folders+=("$folder")
    echo
    configure raw "$work/corpora.yaml"
    ingest "$work/raw.json" --pattern '**/*.yaml' "$folder"
    configure corpora "$work/corpora.yaml"
    ingest "$work/report.json" "$folder"
    node "$here/corpora.mjs" "$folder" "$work/report.json" "$work/raw.json" || failed=1
  done
  configure corpora "$work/corpora.yaml" "$work/access.yaml"
  ask "${folders[@]}"
else
  echo "peers: no catalogs at $corpora, only the demo was asked for"
fi
[ "$failed" = 0 ] && echo "peers on ${DATABASE:-sqlite}: all is right"
exit "$failed"
