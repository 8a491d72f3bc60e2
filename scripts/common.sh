# Shared by the scripts beside it; to be sourced.  Sets KVS_ROOT, the top of the repository.
# shellcheck shell=bash
KVS_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# The name the user knows the running script by.
KVS_SCRIPT=scripts/$(basename "$0")

say() { printf '%s\n' "$*"; }
complain() { printf '%s: %s\n' "$KVS_SCRIPT" "$*" >&2; }
# die CODE MESSAGE...
die() {
  local code=$1
  shift
  complain "$@"
  exit "$code"
}

# Where the programs of a preset are built.
build_dir() {
  if [[ $1 == release ]]; then
    printf '%s/build\n' "$KVS_ROOT"
  else
    printf '%s/build-%s\n' "$KVS_ROOT" "$1"
  fi
}
