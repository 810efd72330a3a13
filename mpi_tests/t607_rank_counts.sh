#!/usr/bin/env bash
# The program's promise: every deterministic field of metrics.jsonl is equal on every line for any
# number of ranks and for both owner maps.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
make_images images

# invariant NAME ARGUMENT...
invariant() {
    local name=$1 count owners
    shift
    ranks 1 "$@" --run "$name-1"
    expect_code 0 "$name on 1 rank"
    for count in 2 3 4; do
        for owners in rank0 sharded; do
            ranks $count "$@" --owners $owners --run "$name-$count-$owners"
            expect_code 0 "$name on $count ranks, $owners"
            same "$name-1" "$name-$count-$owners"
        done
    done
}

invariant gpt-muon "${tiny_gpt[@]}" --data text --micro-batches 8 --clip-norm 0.5
invariant mlp-adamw "${tiny_mlp[@]}" --data images --optimizer adamw --micro-batches 12 --groups 6

# The comparison notices: another seed is another run.
ranks 2 "${tiny_gpt[@]}" --data text --micro-batches 8 --clip-norm 0.5 --seed 2 --run other
[ "$(field other/metrics.jsonl parameters_hash)" != "$(field gpt-muon-1/metrics.jsonl parameters_hash)" ] ||
    failed 'another seed gives the same parameters'
finish
