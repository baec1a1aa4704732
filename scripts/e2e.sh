#!/usr/bin/env bash
# Runs tests/e2e on a real node of its own: etcd, API server, controllers, scheduler, kubelet, containerd, kube-proxy, CoreDNS.
# Usage: scripts/e2e.sh [pytest's arguments]; called by `make e2e`. Everything runs in namespaces of its own for network,
# processes and mounts: when they go, the kernel takes all of it along, whatever ended this script. What stays is the
# cache ($XDG_CACHE_HOME/treering: programs, images, containerd's layers). Needs root, cgroup v1 or v2, Go and Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'e2e: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

# ---- outside: make what the node is made of, then go in; afterwards remove what is no process
prepare() {
  [ "$(id -u)" = 0 ] || fail "a node needs root. Mend: sudo make e2e"
  export PATH="$PATH:/usr/sbin:/sbin"
  local started=$SECONDS
  scripts/system.sh test node
  scripts/cluster_tools.sh kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl helm \
    coredns >/dev/null
  say "programs: $((SECONDS - started)) s"
  started=$SECONDS
  # shellcheck disable=SC2086 # words
  scripts/images.sh "$cache/archives" ${TREERING_E2E_IMAGES:-pause operator trainer}
  say "images: $((SECONDS - started)) s"
}

sweep() {
  for stale in "$cache"/run.*; do
    if [ -d "$stale" ] && ! kill -0 "${stale##*.}" 2>/dev/null; then remove "${stale##*.}"; fi
  done
}

# Where the kernel counts what pods use: one folder below each hierarchy, or below the only one.
hierarchies() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup; else ls -d /sys/fs/cgroup/*/; fi
}

remove() {
  local hierarchy folder
  for hierarchy in $(hierarchies); do
    folder=$hierarchy/treering-e2e-$1
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + || true
  done
  rm -rf "$cache/run.$1"
}

leave() {
  if [ -n "${node:-}" ]; then
    kill -KILL "$node" 2>/dev/null || true
    wait "$node" 2>/dev/null || true
  fi
  sleep 0.5  # the kernel is still ending what ran in there
  remove $$
}

outside() {
  cache=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/treering/e2e
  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock -n 9 || { say "another run is at work; waiting for it"; flock 9; }
  prepare
  sweep
  mkdir -p "$cache/run.$$"
  for hierarchy in $(hierarchies); do mkdir -p "$hierarchy/treering-e2e-$$"; done
  trap leave EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  export TREERING_NODE_FOLDER="$cache/run.$$" TREERING_NODE_CACHE="$cache"
  TREERING_NODE_CGROUP="treering-e2e-$$" setpriv --pdeathsig KILL unshare --net --pid --mount --ipc --uts --fork \
    --kill-child=KILL --mount-proc bash scripts/e2e.sh --inside "$@" 9>&- &
  node=$!
  local code=0
  wait "$node" || code=$?
  exit "$code"
}

# ---- inside: a network with one address, scratch folders where programs insist on theirs, then the tests
inside() {
  local folder
  for folder in /run /var/lib/cni /var/log/pods /var/log/containers; do
    mkdir -p "$folder"
    mount -t tmpfs tmpfs "$folder"
  done
  hostname treering-e2e
  ip link set lo up
  ip link add node0 type bridge
  ip address add 10.99.0.1/24 dev node0
  ip link set node0 up
  ip route add default dev node0
  echo 1 > /proc/sys/net/ipv4/ip_forward
  local tests=(tests/e2e) argument
  for argument in "$@"; do [ ! -e "${argument%%::*}" ] || tests=(); done
  # No exec: the first process must bury orphans.
  .venv/bin/python -m pytest -p no:cacheprovider "${tests[@]}" "$@"
}

if [ "${1:-}" = --inside ]; then
  shift
  inside "$@"
else
  outside "$@"
fi
