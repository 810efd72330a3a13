# shellcheck shell=bash
# What the tests of the program share; sourced. Runs build/plumb on ranks, keeps every rank's exit
# code, and checks what it said. Tests print what failed, and nothing else.
#
# $work is a fresh folder, removed at the end. After `ranks N ARGUMENT...`: $work/code.R has rank
# R's exit code, $work/out and $work/err what was printed.

PLUMB=$(realpath "${PLUMB:-build/plumb}")
MPIRUN=${MPIRUN:-mpirun}
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
# Open MPI 5 has the first two from PRRTE.
export PRTE_MCA_rmaps_default_mapping_policy=slot:oversubscribe
export PRTE_MCA_hwloc_default_binding_policy=none
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
unset PLUMB_TEST_POISON PLUMB_TEST_BLAS_FALLBACK

# Not empty if the program has sanitizers and is ten times slower: long loops over cases then leave
# out what the plain build has tried and memory errors would not depend on.
# shellcheck disable=SC2034 # read by the tests
sanitized=$("$PLUMB" info 2>/dev/null | grep -o fsanitize | head -n 1)

# shellcheck disable=SC2034 # read by the tests
failures=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

failed() {
    failures=$((failures + 1))
    echo "FAILED: $*"
    [ ! -s "$work/err" ] || sed 's/^/  standard error: /' "$work/err" | tail -n 8
}

# The exit code of the whole test.
finish() {
    [ "$failures" -eq 0 ]
    exit
}

# On every rank: runs "$@" and leaves the exit code; mpirun itself sees only success, so that it
# does not kill the other ranks because of the first one's code.
# shellcheck disable=SC2016 # expanded on the ranks
rank_script='rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}
"$@" </dev/null &
echo $! >"$WORK/pid.$rank"
wait $!
echo $? >"$WORK/code.$rank"'

forget() {
    rm -f "$work"/code.* "$work"/pid.* "$work/out" "$work/err"
}

ranks() {
    local count=$1
    shift
    forget
    WORK=$work timeout --kill-after=5 120 "$MPIRUN" -np "$count" bash -c "$rank_script" rank \
        "$PLUMB" "$@" >"$work/out" 2>"$work/err" </dev/null
    local code=$?
    [ $code -eq 0 ] || failed "mpirun ended with $code: plumb $*"
    wanted_ranks=$count
}

# Every rank ended with this code.
expect_code() {
    local rank
    for ((rank = 0; rank < wanted_ranks; rank++)); do
        [ "$(cat "$work/code.$rank" 2>/dev/null)" = "$1" ] ||
            failed "rank $rank ended with $(cat "$work/code.$rank" 2>&1), expected $1 ($2)"
    done
}

# One line on standard error that is plumb's and no warning, and it matches.
expect_line() {
    local lines
    lines=$(grep -v '^plumb: warning: ' "$work/err" | grep -c .)
    [ "$lines" -eq 1 ] || failed "$lines lines on standard error, expected 1 like '$1'"
    grep -q -- "^plumb: .*$1" "$work/err" || failed "no line like '$1'"
}

# wrong CODE PATTERN RANKS ARGUMENT...: the command fails as it should.
wrong() {
    local code=$1 pattern=$2 count=$3
    shift 3
    ranks "$count" "$@"
    expect_code "$code" "$*"
    expect_line "$pattern"
}

# A text of about $2 bytes that a small model can learn from.
make_text() {
    local line='the quick brown fox jumps over the lazy dog, and the dog does not mind at all.'
    yes "$line" | awk '{ print NR % 97, $0 }' | head -c "$2" >"$1"
}

# idx FILE MAGIC SIZE...: header of an IDX file, sizes below 256; then come standard input's bytes.
idx() {
    local file=$1 size
    printf '%b' "\\x00\\x00\\x08\\x0$(($# - 1))" >"$file"
    shift
    for size; do
        printf '%b' "\\x00\\x00\\x00\\x$(printf %02x "$size")" >>"$file"
    done
    cat >>"$file"
}

# 96 training and 48 test images of 4 x 4 in ten classes.
make_images() {
    mkdir -p "$1"
    seq 1 9999 | tr -d '\n' | head -c $((96 * 16)) | idx "$1/train-images-idx3-ubyte" 96 4 4
    seq 7 9999 | tr -d '\n' | head -c $((48 * 16)) | idx "$1/t10k-images-idx3-ubyte" 48 4 4
    seq 3 9999 | tr -d '\n' | head -c 96 | tr 0-9 '\000-\011' | idx "$1/train-labels-idx1-ubyte" 96
    seq 5 9999 | tr -d '\n' | head -c 48 | tr 0-9 '\000-\011' | idx "$1/t10k-labels-idx1-ubyte" 48
}

# Small enough to train in a moment.
# shellcheck disable=SC2034
tiny_gpt=(train --model gpt --layers 1 --width 16 --heads 2 --context 16 --micro-batch-size 2
    --micro-batches 4 --steps 5 --evaluate-every 2)
# shellcheck disable=SC2034
tiny_mlp=(train --model mlp --layers 1 --width 12 --micro-batch-size 3 --micro-batches 4 --steps 5
    --evaluate-every 2)

# field FILE NAME: the values of a field, a line each; works for metrics.jsonl and for the others.
field() {
    grep -o "\"$2\": *[^,}]*" "$1" | sed 's/^[^:]*: *//'
}

# same RUN RUN: equal in all fields that do not measure time.
same() {
    local name
    for name in step loss held_out_loss held_out_accuracy held_out_loss_average \
        held_out_accuracy_average learning_rate gradient_norm clip_factor correction_clipped \
        unclipped roots_failed parameters_hash; do
        [ "$(field "$1/metrics.jsonl" $name)" = "$(field "$2/metrics.jsonl" $name)" ] ||
            failed "$name differs between $1 and $2"
    done
}
