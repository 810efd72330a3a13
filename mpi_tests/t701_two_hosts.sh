#!/usr/bin/env bash
# The same parameters on one host and on two, over TCP, whatever ranks a host has, for both owner
# maps and with MPI messages between the ranks of a host.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh and virtual.sh
. "$(dirname "$0")/support/program.sh"
. "$(dirname "$0")/support/virtual.sh"
cd "$work" || exit 1
make_text text 4000
training=("${tiny_gpt[@]}" --data text --micro-batches 8 --progress never)

ranks 1 "${training[@]}" --run one
expect_code 0 'one rank'
lines=$(field one/metrics.jsonl parameters_hash | sort -u | wc -l)
[ "$lines" -eq 6 ] || failed "$lines different hashes in 6 lines"

for count in 2 4; do
    ranks $count "${training[@]}" --run "one-$count"
    expect_code 0 "$count ranks on one host"
    same one "one-$count"
done

for slots in 1,1 2,2 3,1; do
    for owners in sharded rank0; do
        run=two-$slots-$owners
        on_hosts --slots $slots -- "$PLUMB" "${training[@]}" --owners $owners --run "$run"
        [ "$code" -eq 0 ] || failed "code $code on slots $slots, $owners"
        same one "$run"
        # It did cross the wire: more than the parameters themselves, in every step.
        sent=$(awk '$1 == "node2" { print $4 }' err)
        [ "${sent:-0}" -gt 50000 ] || failed "node2 sent ${sent:-nothing} bytes, slots $slots"
    done
done

# A host whose /dev/shm is too small for windows.
on_hosts --slots 2,1 --shared-memory 64k -- "$PLUMB" "${training[@]}" --run small
[ "$code" -eq 0 ] || failed 'small shared memory'
same one small

# The comparison notices another seed.
on_hosts -- "$PLUMB" "${training[@]}" --seed 9 --run other
[ "$(field other/metrics.jsonl parameters_hash)" != "$(field one/metrics.jsonl parameters_hash)" ] ||
    failed 'another seed gives the same parameters'
finish
