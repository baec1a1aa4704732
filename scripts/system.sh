#!/usr/bin/env bash
# Looks for the programs outside Python that the tests use, and as root on Debian installs the missing ones; otherwise
# says loudly which are missing and goes on: the tests that need them then fail by name.
# Usage: scripts/system.sh [test] [node] (default: test; node: what a real node is made of besides). Called by `make test`
# and `make e2e`.
set -euo pipefail

# program:package
test=(chromium:chromium git:git etcd:etcd-server promtool:prometheus openssl:openssl)
node=(containerd:containerd runc:runc iptables:iptables conntrack:conntrack buildah:buildah debootstrap:debootstrap
  cc:gcc busybox:busybox-static ip:iproute2 mount:mount)
export PATH="$PATH:/usr/sbin:/sbin"

missing=()
want() { for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}"); done; }
[ $# -gt 0 ] || set -- test
for ring in "$@"; do
  case $ring in
    test) want "${test[@]}" ;;
    node)
      want "${node[@]}"
      [ -x /usr/lib/cni/bridge ] || missing+=(containernetworking-plugins)
      ;;
    *) echo "system: no ring of tests is called '$ring': test, node" >&2; exit 2 ;;
  esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "system: installing ${missing[*]} (the tests need them)" >&2
  apt-get update -qq
  # Debian starts what it installs; nobody here wants an etcd, a Prometheus or a containerd that runs by itself.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod +x $policy
    trap 'rm -f $policy' EXIT
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" fonts-dejavu-core >/dev/null
else
  {
    echo "system: ================================================================="
    echo "system: MISSING: ${missing[*]}"
    echo "system: the tests of $* need them (browser, repository, clusters)."
    echo "system: Mend: sudo apt-get update && sudo apt-get install ${missing[*]}"
    echo "system: ================================================================="
  } >&2
fi
