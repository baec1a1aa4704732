#!/usr/bin/env bash
# Looks for the programs outside Python that the tests use, and as root on Debian installs the missing ones; otherwise
# says loudly which are missing and goes on: the tests that need them then fail by name. Called by `make test`.
set -euo pipefail

missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v git >/dev/null || missing+=(git)
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "system: installing ${missing[*]} (the tests need them)" >&2
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" fonts-dejavu-core >/dev/null
else
  {
    echo "system: ================================================================="
    echo "system: MISSING: ${missing[*]}"
    echo "system: the browser tests of the report and the repository's tests need them."
    echo "system: Mend: sudo apt-get update && sudo apt-get install ${missing[*]}"
    echo "system: ================================================================="
  } >&2
fi
