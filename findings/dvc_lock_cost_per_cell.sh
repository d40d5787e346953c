#!/usr/bin/env bash
# dvc 3.67.1: every finished stage reads and writes the whole dvc.lock again (ruamel.yaml, pure Python),
# so one cell of a `matrix` costs more the more cells there are: a sweep costs the square of its cells.
#
# What it does: two repositories whose stage copies one line, with 20 and with 160 cells of 12
# dependencies each, `dvc repro` from nothing, user CPU seconds a cell.
# Seen (Python 3.11, dvc 3.67.1, ruamel.yaml 0.19.1): see the last lines that it prints.
# Exit 0: a cell of the long sweep costs at least 1.5 times one of the short sweep; 1: it does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check dvc==3.67.1
export PATH="$folder/venv/bin:$PATH" DVC_NO_ANALYTICS=1 DVC_SITE_CACHE_DIR="$folder/site"

seconds_a_cell() { # cells
    local root="$folder/$1"
    mkdir -p "$root/deps" && cd "$root"
    git init --quiet . && dvc init --quiet
    for number in $(seq 12); do echo "$number" > "deps/$number.txt"; done
    {
        echo "stages:"
        echo "  copy:"
        echo "    matrix: {cell: [$(seq -s, "$1")]}"
        echo "    cmd: cp deps/1.txt \${item.cell}.out"
        echo "    deps: [$(for n in $(seq 12); do printf 'deps/%s.txt, ' "$n"; done)]"
        echo "    outs: [\"\${item.cell}.out\"]"
    } > dvc.yaml
    python3 - "$1" << 'PYTHON'
import resource, subprocess, sys
subprocess.run(["dvc", "repro", "--quiet"], check=True)
print(round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime / int(sys.argv[1]), 3))
PYTHON
}

short=$(seconds_a_cell 20)
long=$(seconds_a_cell 160)
echo "20 cells: $short s of CPU a cell, dvc.lock $(stat -c %s "$folder/20/dvc.lock") bytes"
echo "160 cells: $long s of CPU a cell, dvc.lock $(stat -c %s "$folder/160/dvc.lock") bytes"
python3 -c "raise SystemExit(not $long >= 1.5 * $short)"
