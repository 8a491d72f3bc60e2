# shellcheck shell=bash
# Sourced by the scripts of this folder: a cluster for one measurement, and medians.
# shellcheck source-path=SCRIPTDIR source=../scripts/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/common.sh"
KVS_SCRIPT=bench/$(basename "$0")

bin=$(build_dir release)/bin
http_port=${KVS_BENCH_HTTP_PORT:-18081}
raft_port=${KVS_BENCH_RAFT_PORT:-17001}
bench_dir=""
cluster_pid=""

stop_cluster() {
  if [[ -n $cluster_pid ]]; then
    kill -TERM "$cluster_pid" 2>/dev/null || true
    wait "$cluster_pid" 2>/dev/null || true
    cluster_pid=""
  fi
  [[ -z $bench_dir ]] || rm -rf "$bench_dir"
  bench_dir=""
}
trap 'kill $(jobs -p) 2>/dev/null; stop_cluster' EXIT
trap 'exit 130' INT TERM

# start_cluster NODES ENGINE: an empty cluster, ready for requests; $servers has its URLs.
start_cluster() {
  local nodes=$1 engine=$2 i
  [[ -x $bin/kvstore-server ]] || die 1 "there are no programs in $bin; run scripts/build"
  bench_dir=$(mktemp -d "${TMPDIR:-/tmp}/kvs-bench.XXXXXX")
  "$KVS_ROOT/scripts/run-cluster" --no-build --nodes "$nodes" --storage "$engine" --dir "$bench_dir" \
    --http-port "$http_port" --raft-port "$raft_port" >"$bench_dir/cluster.log" 2>&1 &
  cluster_pid=$!
  servers=""
  for ((i = 0; i < nodes; ++i)); do
    servers+=${servers:+,}http://127.0.0.1:$((http_port + i))
    for ((n = 0; n < 300; ++n)); do
      curl -sf "http://127.0.0.1:$((http_port + i))/readyz" >/dev/null 2>&1 && break
      kill -0 "$cluster_pid" 2>/dev/null || die 1 "the cluster did not start: $(tail -3 "$bench_dir/cluster.log")"
      sleep 0.1
    done
  done
}

# load ARGUMENTS: kvstore-client bench on the cluster; prints requests per second.
load() {
  "$bin/kvstore-client" --server "$servers" --format json bench "$@" >"$bench_dir/load.json" ||
    die 1 "the load failed: $(head -c 400 "$bench_dir/load.json")"
  field '["all"]["rate"]' "$bench_dir/load.json"
}

# field PATH FILE: one number of a JSON document, PATH in Python's notation.
field() { python3 -c "import json,sys; print(round(json.load(open(sys.argv[1]))$1))" "$2"; }

# median NUMBER...
median() { printf '%s\n' "$@" | sort -n | awk '{a[NR]=$1} END {print (NR % 2) ? a[(NR+1)/2] : (a[NR/2]+a[NR/2+1])/2}'; }
# ratio A B: A / B
ratio() { awk -v a="$1" -v b="$2" 'BEGIN {printf "%.3f", a / b}'; }

# options NAME... -- ARGUMENTS...: each --name VALUE sets the variable of that name.
options() {
  local names=()
  while [[ $1 != -- ]]; do
    names+=("$1")
    shift
  done
  shift
  while (($# > 0)); do
    if [[ $1 == -h || $1 == --help ]]; then
      usage
      exit 0
    fi
    local name=${1#--}
    name=${name//-/_}
    if [[ $1 != --* || " ${names[*]} " != *" $name "* ]]; then
      complain "unknown option '$1'"
      usage >&2
      exit 2
    fi
    (($# > 1)) || die 2 "$1 needs a value"
    [[ $name == storage || $2 =~ ^[1-9][0-9]*$ ]] || die 2 "$1: '$2' is no positive number"
    printf -v "$name" '%s' "$2"
    shift 2
  done
}
