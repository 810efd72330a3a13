#!/usr/bin/env bash
# The exchange_bytes that a run reports are those that cross the wire, between two hosts of one rank
# each. The difference of a long and a short run leaves out starting and ending.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh and virtual.sh
. "$(dirname "$0")/support/program.sh"
. "$(dirname "$0")/support/virtual.sh"
cd "$work" || exit 1
make_text text 40000
# On top of what is reported come headers and acknowledgements (2 % with packets of 1500 bytes,
# less as virtual cards pass larger ones), and the small collectives of a step, which agree.
most=1.04
training=("$PLUMB" train --model gpt --data text --layers 2 --width 128 --heads 2 --context 16
    --micro-batch-size 1 --micro-batches 2 --held-out-units 1 --evaluate-every 1000000
    --progress never)

# bytes FILE NAME: the sum of a field.
bytes() { field "$1" "$2" | awk '{ sum += $1 } END { printf "%.0f", sum }'; }

for owners in sharded rank0; do
    for steps in 3 13; do
        on_hosts --quiet --json "$owners-$steps.json" -- "${training[@]}" --owners $owners \
            --steps $steps --run "$owners-$steps"
        [ "$code" -eq 0 ] || failed "code $code, $owners"
    done
    wire=$(($(bytes $owners-13.json tx_bytes) - $(bytes $owners-3.json tx_bytes)))
    reported=$(($(bytes $owners-13/metrics.jsonl exchange_bytes) -
        $(bytes $owners-3/metrics.jsonl exchange_bytes)))
    [ "$reported" -gt 20000000 ] || failed "only $reported bytes reported"
    awk "BEGIN { ratio = $wire / ($reported + 1e-9); exit !(ratio >= 1.0 && ratio <= $most) }" ||
        failed "$owners: $wire bytes on the wire, $reported reported: not within 1 to $most"
done
finish
