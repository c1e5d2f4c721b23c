#!/bin/bash
# run.sh: every benchmark, with the generated catalog and the read battery from $SHARED if they are
# there. ENTITIES=100000. Nothing else should run on the machine meanwhile.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
shared=${SHARED:-$here/../../shared}
entities=${ENTITIES:-100000}
uptime
python "$here/documents.py"
python "$here/index.py" || true
if [ ! -d "$shared/bench" ]; then
  echo "bench: no generator at $shared/bench, so no catalog to measure"
  exit 0
fi
corpus=${CORPUS:-$(mktemp -d)/corpus}
[ -f "$corpus/manifest.json" ] || python "$shared/bench/gen_corpus.py" --entities "$entities" --out "$corpus" --seed 1
python "$here/catalog.py" --corpus "$corpus"
