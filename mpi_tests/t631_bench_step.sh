#!/usr/bin/env bash
# plumb bench step on a tiny model: every row runs, JSON and table have the same fields, the bytes
# of corrections are what the exchange promises, and wrong input.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

make_text "$work/text" 20000
step=(bench step --data "$work/text" --layers 1 --width 32 --heads 2 --context 16
    --micro-batch-size 1 --micro-batches 4 --groups 4 --pairs 1)

# Every row, with whole intervals where there are some.
ranks 2 "${step[@]}" --json
expect_code 0 'bench step'
rows=$(grep -c '"ratio":' "$work/out")
[ "$rows" -ge 20 ] || failed "$rows rows, expected 20 and more"
[ "$(field "$work/out" bench)" = '"step"' ] || failed 'the JSON does not say what it is'
[ "$(field "$work/out" ratio_goal | wc -l)" -eq 3 ] || failed 'not three goals of time'
for name in optimizer correction plain_seconds corrected_seconds ratio ratio_lower_quartile \
    ratio_upper_quartile exchange_bytes_ratio windows steps_of_a_window; do
    [ "$(field "$work/out" $name | wc -l)" -eq "$rows" ] || failed "a row without $name"
done
field "$work/out" ratio | awk '!($1 > 0) { exit 1 }' || failed 'a ratio is not positive'
# The first leg of AdamW's corrections, 4 groups on 2 ranks, has twice the bytes.
field "$work/out" exchange_bytes_ratio | head -n 1 | awk '{ exit !($1 > 1.49 && $1 < 1.51) }' ||
    failed "bytes of 4 groups on 2 ranks: $(field "$work/out" exchange_bytes_ratio | head -n 1)"

# With no more groups than ranks the corrections cost no bytes.
ranks 4 "${step[@]}" --only adamw
expect_code 0 'bench step on 4 ranks'
[ "$(grep -c 'bytes at most 1.01: met' "$work/out")" -eq 11 ] ||
    failed 'corrections of 4 groups on 4 ranks cost bytes'
grep -q '^plain bytes .* met$' "$work/out" || failed 'plain steps send more than a ring would'
# Plain Sophia sends curvature too, and is no measure of that.
ranks 4 "${step[@]}" --only sophia
expect_code 0 'bench step of sophia'
grep -q '^plain bytes' "$work/out" && failed "curvature counts as the plain step's bytes"
ranks 1 "${step[@]}" --only goals --json
expect_code 0 'bench step on one rank'
[ "$(field "$work/out" exchange_bytes_ratio | sort -u)" = null ] || failed 'bytes on one rank'

# Without a text the model reads random bytes; progress goes to standard error.
ranks 2 bench step --layers 1 --width 16 --heads 2 --context 8 --micro-batch-size 1 \
    --micro-batches 4 --groups 4 --pairs 2 --only muon --progress always
expect_code 0 'bench step without a text'
grep -q '^step *6/6' "$work/err" || failed 'no progress on standard error'

wrong 3 'cannot read the text' 2 bench step --data "$work/nothing"
wrong 2 '--groups 3 and 4 must divide --micro-batches 8' 2 bench step --data "$work/text" --groups 3
wrong 2 'micro-batches 4 is less than the 5 ranks' 5 "${step[@]}"
wrong 2 "is none of all, goals" 2 bench step --data "$work/text" --only sgd
wrong 2 "no bench 'stp'; did you mean step" 1 bench stp
wrong 2 "no bench 'matrices'; there are gpt" 2 bench matrices --json
ranks 2 bench step --help
expect_code 0 'bench step --help'
finish
