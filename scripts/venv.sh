#!/usr/bin/env bash
# Makes .venv hold exactly what requirements/dev.txt pins (every file checked against its hash), and Treering itself in
# place. Called by `make venv`; safe to repeat after an interruption. Needs python3 >= 3.11 and a way to PyPI.
set -euo pipefail
cd "$(dirname "$0")/.."

venv=.venv
bootstrap=.venv-bootstrap
python=${PYTHON:-python3}
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}  # torch's wheels are big, and lines are slow

say() { printf 'venv: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

check_python() {
  command -v "$python" >/dev/null || fail "no '$python' here. Mend: apt-get install python3 python3-venv"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "'$python' is $("$python" -V 2>&1), Treering needs 3.11 or newer. Mend: make venv PYTHON=/path/to/python3.11"
}

# Debian ships python3 without ensurepip, which `python3 -m venv` needs.
check_ensurepip() {
  "$python" -c 'import ensurepip' 2>/dev/null && return
  local package
  package=$("$python" -c 'import sys; print(f"python3.{sys.version_info.minor}-venv")')
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "'$python' can't make virtual environments yet; installing Debian's $package"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
  else
    fail "'$python' can't make virtual environments. Mend: sudo apt-get update && sudo apt-get install $package"
  fi
}

find_uv() {
  if uv --version >/dev/null 2>&1; then
    echo uv
    return
  fi
  if ! "$bootstrap/bin/uv" --version >/dev/null 2>&1; then
    check_ensurepip
    say "installing uv into $bootstrap"
    "$python" -m venv --clear "$bootstrap" >&2
    "$bootstrap/bin/python" -m pip install -q --disable-pip-version-check --require-hashes \
      --only-binary :all: -r requirements/bootstrap.txt >&2
  fi
  echo "$bootstrap/bin/uv"
}

check_python
uv=$(find_uv)
if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  "$uv" venv -q --clear --no-python-downloads --python "$("$python" -c 'import sys; print(sys.executable)')" "$venv"
fi
"$uv" pip sync --python "$venv/bin/python" --require-hashes requirements/dev.txt
# No isolation: the build backend, too, is the one whose hash is in the lock.
"$uv" pip install -q --python "$venv/bin/python" --no-deps --no-build-isolation -e .
