#!/usr/bin/env bash
# Debian packages Andon needs to be set up and run: installed where we may, named where not.
# Usage: debian-packages.sh PYTHON [PROGRAM[:PACKAGE]…]  (further programs)
set -euo pipefail

python=${1:-python3}
missing=()
need() { # program, package
	command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ] || missing+=("$2")
}

need mosquitto mosquitto
need mosquitto_pub mosquitto-clients
need openssl openssl
# Scans are read by tesseract, a library to us; its Chinese data has a package of its own.
need tesseract tesseract-ocr
[ -n "$(find /usr/share/tesseract-ocr /usr/share/tessdata -name chi_sim.traineddata 2>/dev/null)" ] ||
	missing+=(tesseract-ocr-chi-sim)
for wanted in "${@:2}"; do need "${wanted%%:*}" "${wanted##*:}"; done
# hnswlib comes as source.
need g++ g++
if ! command -v "$python" >/dev/null; then
	missing+=(python3 python3-venv python3-dev)
else
	"$python" -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
	header=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h
	[ -e "$header" ] || missing+=(python3-dev)
fi

if [ ${#missing[@]} -gt 0 ]; then
	command="apt-get install -y --no-install-recommends ${missing[*]}"
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "Missing: ${missing[*]}. Install them with" >&2
		echo "    sudo $command" >&2
		echo "and call make again." >&2
		exit 1
	fi
	echo "Installing Debian packages: ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -qq
	# The broker's own service is not ours to start: we run a private one.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod +x $policy
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	$command >/dev/null
fi

"$python" - <<'PY'
import sqlite3, sys
if sys.version_info < (3, 11):
    sys.exit(f"Andon needs Python 3.11 or newer, {sys.executable} is {sys.version.split()[0]}")
try:
    sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE t USING fts5(a)")
except sqlite3.OperationalError:
    sys.exit(f"The SQLite of {sys.executable} has no FTS5; use Debian's python3")
PY
