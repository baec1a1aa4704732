#!/usr/bin/env bash
# Builds the programs of the test clusters from the Go module proxy, once, and prints the folder where they lie.
# Usage: scripts/cluster_tools.sh [PROGRAM...] (none: all). Called by `make test`, `make e2e` and the benchmarks; safe to
# repeat after an interruption and to run twice at a time. Needs Go >= 1.25, for the first time 3 GB of disk and minutes.
set -euo pipefail
cd "$(dirname "$0")/.."

kubernetes=(kube-apiserver kube-controller-manager kubectl kube-scheduler kubelet kube-proxy)
# Each is built outside any module: their requirements clash in one go.mod.
declare -A others=(
  [helm]=helm.sh/helm/v4/cmd/helm@v4.3.1
  [kwok]=sigs.k8s.io/kwok/cmd/kwok@v0.7.0
  [kubeconform]=github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0
  [coredns]=github.com/coredns/coredns@v1.14.7
)
module=tests/cluster/tools

say() { printf 'cluster tools: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }

version_of() { sed -n "s|^\t*require $1 ||p; s|^\t$1 \([^ ]*\).*|\1|p" "$module/go.mod" | head -1; }

folder() {
  local key
  key=$({ cat "$module/go.mod" "$module/go.sum"; printf '%s\n' "${others[@]}" | sort; } | sha256sum | cut -c1-16)
  echo "${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/treering/tools/$key/bin"
}

is_kubernetes() { [[ " ${kubernetes[*]} " == *" $1 "* ]]; }

build() {
  local version flags
  if is_kubernetes "$1"; then
    version=$(version_of k8s.io/kubernetes)
    flags="-s -w -X k8s.io/component-base/version.gitVersion=$version"
    flags+=" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=$(cut -d. -f2 <<<"$version")"
    (cd "$module" && go_install -ldflags "$flags" "k8s.io/kubernetes/cmd/$1")
  else
    (cd "$scratch" && go_install -ldflags "-s -w" "${others[$1]}")
  fi
}

go_install() { GOFLAGS="" GOWORK=off CGO_ENABLED=0 GOBIN="$scratch" nice -n 10 go install -trimpath -buildvcs=false "$@"; }

check_go() {
  command -v go >/dev/null || fail "MISSING: go, which builds ${missing[*]} (the tests need a real Kubernetes)." \
    "Mend: install Go 1.25 or newer, https://go.dev/dl"
  local version
  version=$(go env GOVERSION)
  [ "$(printf '%s\n' go1.25 "$version" | sort -V | head -1)" = go1.25 ] ||
    [ "$(go env GOTOOLCHAIN)" != local ] || fail "Go is $version; 1.25 or newer is needed. Mend: https://go.dev/dl"
}

look() {
  missing=()
  for program in "$@"; do [ -x "$bin/$program" ] || missing+=("$program"); done
}

bin=$(folder)
[ $# -gt 0 ] || set -- "${kubernetes[@]}" "${!others[@]}"
for program in "$@"; do
  is_kubernetes "$program" || [ -n "${others[$program]:-}" ] ||
    fail "'$program' is none of ${kubernetes[*]} ${!others[*]}"
done

look "$@"
if [ ${#missing[@]} -gt 0 ]; then
  check_go
  mkdir -p "$bin"
  exec 9>"$bin.lock"
  flock 9  # another run may be building the same ones
  look "$@"
  scratch=$(mktemp -d "$bin.building.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  for program in "${missing[@]}"; do
    started=$SECONDS
    say "building $program (minutes for the first time)"
    build "$program" || fail "$program was not built, see above. Mend: a way to the Go module proxy (GOPROXY), then again"
    mv -f "$scratch/$program" "$bin/$program"
    say "built $program in $((SECONDS - started)) s"
  done
fi
echo "$bin"
