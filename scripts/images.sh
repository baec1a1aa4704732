#!/usr/bin/env bash
# Builds the images of the Dockerfile without a container registry, for the tests of a real node: `scripts/images.sh
# OUTDIR [operator] [trainer] [pause]` (default: all three) leaves OUTDIR/NAME.tar, OCI archives that hold
# localhost/treering/NAME:dev. Base, layers and archives are kept in $XDG_CACHE_HOME/treering/images: what did not change
# is neither built nor written again, and layers that no present image stands on are removed. Needs root, buildah,
# debootstrap, a C compiler (pause) and a way to PyPI and Debian.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:?"usage: scripts/images.sh OUTDIR [operator] [trainer] [pause]"}
shift
[ $# -gt 0 ] || set -- operator trainer pause
cache=${XDG_CACHE_HOME:-$HOME/.cache}/treering/images
wheels=${UV_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/uv}  # what `make venv` has fetched is not fetched again
suite=bookworm
archive_gb=10  # what is free must hold the trainer twice: as buildah's scratch, and as the archive
packages=ca-certificates,python3,python3-venv
base=localhost/treering/base:$suite
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)

say() { printf 'images: %s\n' "$*" >&2; }
fail() { say "$@"; exit 1; }
store() { buildah --root "$cache/storage" --runroot "$cache/run" "$@"; }
image_id() { store inspect --type image --format '{{.FromImageID}}' "$1" 2>/dev/null; }

check_programs() {
  local missing=()
  for program in buildah "$@"; do command -v "$program" >/dev/null || missing+=("$program"); done
  [ ${#missing[@]} -eq 0 ] ||
    fail "MISSING: ${missing[*]}. Mend: sudo apt-get update && sudo apt-get install ${missing[*]}"
  [ "$(id -u)" = 0 ] || fail "building needs root here. Mend: sudo scripts/images.sh $out"
}

# The stand-in for the Dockerfile's default base: Debian with Python and nothing else.
make_base() {
  local stamp="$cache/base.$suite.$packages"
  if [ -e "$stamp" ] && image_id "$base" >/dev/null; then return; fi
  check_programs debootstrap
  rm -rf "$cache/rootfs"
  debootstrap --variant=minbase --include="$packages" "$suite" "$cache/rootfs" > "$cache/debootstrap.log" 2>&1 ||
    fail "debootstrap failed: $(tail -n 1 "$cache/debootstrap.log"). The whole story: $cache/debootstrap.log"
  rm -rf "$cache/rootfs"/var/{cache/apt,lib/apt/lists}/* "$cache/rootfs"/usr/share/{doc,man,locale}/*
  local container
  container=$(store from scratch)
  store add -q "$container" "$cache/rootfs" / >/dev/null
  store commit -q --rm "$container" "$base" >/dev/null
  rm -rf "$cache/rootfs"
  touch "$stamp"
}

# What pip and uv must know of this machine, as lines NAME='value': given to the build as a secret, kept in no layer.
build_environment() {
  local name
  for name in PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST UV_DEFAULT_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL \
    UV_INDEX UV_INSECURE_HOST SSL_CERT_FILE; do
    [ -z "${!name:-}" ] || printf "%s='%s'\n" "$name" "${!name//\'/\'\\\'\'}"
  done
  printf "UV_CACHE_DIR='/var/cache/uv'\nUV_HTTP_TIMEOUT='%s'\n" "${UV_HTTP_TIMEOUT:-300}"
}

# build TARGET: a stage or an image of the Dockerfile.
build() {
  mkdir -p "$wheels"
  BUILD_ENVIRONMENT=$(build_environment) store bud -q --layers --isolation chroot --network host --pull-never \
    --build-arg BASE="$base" --build-arg VERSION="$version" --secret id=environment,env=BUILD_ENVIRONMENT \
    -v /etc/ssl/certs:/etc/ssl/certs:ro -v "$wheels:/var/cache/uv" \
    --target "$1" -t "localhost/treering/$1:dev" . > "$cache/$1.log" 2>&1 ||
    { tail -n 30 "$cache/$1.log" >&2; fail "building $1 failed; the whole story: $cache/$1.log"; }
}

# The process that holds a pod's namespaces: waits, and buries the dead.
build_pause() {
  check_programs cc
  local folder container
  folder=$(mktemp -d)
  cat > "$folder/pause.c" <<'C'
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static void bury(int n) { (void)n; while (waitpid(-1, 0, WNOHANG) > 0) {} }
static void leave(int n) { (void)n; _exit(0); }
int main(void) {
  signal(SIGCHLD, bury);
  signal(SIGINT, leave);
  signal(SIGTERM, leave);
  for (;;) pause();
}
C
  cc -Os -static -s -o "$folder/pause" "$folder/pause.c"
  container=$(store from scratch)
  store copy -q "$container" "$folder/pause" /pause >/dev/null
  store config --entrypoint '["/pause"]' --user 65535:65535 "$container"
  store commit -q --rm --timestamp 0 "$container" localhost/treering/pause:dev >/dev/null
  rm -rf "$folder"
}

check_room() {
  local free
  free=$(df --output=avail -BG "$cache" | tail -n 1 | tr -dc 0-9)
  [ "$free" -ge "$archive_gb" ] ||
    fail "$cache: $free GB of disk are free, an archive wants $archive_gb. Mend: free some; what lies there is a cache and may go"
}

# Writes the archive unless the one that is there holds this very image.
write_archive() {
  local name=localhost/treering/$1:dev archive=$cache/$1.tar id
  id=$(image_id "$name")
  if [ "$(cat "$archive.id" 2>/dev/null)" != "$id" ] || [ ! -e "$archive" ]; then
    rm -f "$archive" "$archive.id" "$out/$1.tar"  # linked: gone only when both are
    check_room
    store push -q --compression-format zstd --compression-level 1 "$name" "oci-archive:$archive:$name"
    echo "$id" > "$archive.id"
  fi
  mkdir -p "$out"
  ln -f "$archive" "$out/$1.tar" 2>/dev/null || cp -f "$archive" "$out/$1.tar"
}

check_programs
mkdir -p "$cache"
exec 9> "$cache/lock"
flock 9  # two builds at once would undo each other's layers
export TMPDIR=$cache/scratch  # gigabytes, which buildah leaves behind when the disk is full
trap 'rm -rf "$TMPDIR"' EXIT
rm -rf "$TMPDIR"
mkdir -p "$TMPDIR"
for name in "$@"; do
  started=$SECONDS
  case $name in
    operator | trainer)
      make_base
      build "$name-code"  # named, so that pruning does not take what the next build would reuse
      build "$name"
      ;;
    pause) image_id localhost/treering/pause:dev >/dev/null || build_pause ;;
    *) fail "no image is called '$name': operator, trainer, pause" ;;
  esac
  built=$SECONDS
  store rmi --prune >/dev/null
  write_archive "$name"
  size_mb=$(du -Lm "$out/$name.tar" | cut -f1)
  say "$name: built in $((built - started)) s, archived in $((SECONDS - built)) s, $size_mb MB"
done
