#!/usr/bin/env bash
# Installs the engines of `make bench-peers`, at pinned versions, into the given folder. It keeps a complete
# installation of these versions.
set -euo pipefail
into=$1
here=$(cd "$(dirname "$0")" && pwd)
if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    echo "make bench-peers needs Python with venv (Debian: python3-venv)" >&2
    exit 1
fi
if ! cmp -s "$here/requirements.txt" "$into/installed.txt"; then
    rm -rf "$into"
    python3 -m venv "$into"
    "$into/bin/pip" install -q --disable-pip-version-check --retries 3 -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$into/installed.txt"
fi
