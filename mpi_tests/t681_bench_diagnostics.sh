#!/usr/bin/env bash
# plumb bench diagnostics on a tiny model: both optimizers' rows with all their fields, averages
# that fit their parts, goals for the default model only, the table, and wrong input. Times are not
# judged here.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

make_text "$work/text" 20000
tiny=(bench diagnostics --data "$work/text" --layers 1 --width 32 --heads 2 --context 16
    --micro-batch-size 1 --micro-batches 4 --groups 4 --rounds 2)

ranks 2 "${tiny[@]}" --json
expect_code 0 'bench diagnostics'
[ "$(field "$work/out" bench)" = '"diagnostics"' ] || failed 'the JSON does not say what it is'
[ "$(field "$work/out" optimizer | tr '\n' ' ')" = '"adamw" "muon" ' ] || failed 'the optimizers'
for name in plain_seconds economy_seconds full_seconds economy_ratio full_ratio diagnosed_ratio; do
    for part in '' _lower_quartile _upper_quartile; do
        [ "$(field "$work/out" "$name$part" | grep -c '^[0-9]')" -eq 2 ] ||
            failed "not two numbers $name$part"
    done
done
for name in rounds ranks; do
    [ "$(field "$work/out" $name | sort -u)" = 2 ] || failed "not 2 $name"
done
field "$work/out" economy_ratio | awk '!($1 > 0) { exit 1 }' || failed 'a ratio is not positive'
grep -q '"goals": \[\]' "$work/out" || failed 'goals for a model that is not the one they are about'

# With a diagnosis at every step the average is the diagnosed step.
ranks 2 "${tiny[@]}" --every 1 --json
expect_code 0 'bench diagnostics --every 1'
[ "$(field "$work/out" full_ratio)" = "$(field "$work/out" diagnosed_ratio)" ] ||
    failed 'with --every 1 the average is not the diagnosed step'

# Random bytes, the table, progress on standard error, another number of ranks.
ranks 3 bench diagnostics --layers 1 --width 16 --heads 2 --context 8 --micro-batch-size 1 \
    --micro-batches 4 --groups 2 --rounds 1 --progress always
expect_code 0 'bench diagnostics without a text'
for kind in economy full diagnosed; do
    [ "$(grep -c "^\(adamw\|muon\) *$kind " "$work/out")" -eq 2 ] || failed "not two rows $kind"
done
grep -q '^step *4/4' "$work/err" || failed 'no progress on standard error'

wrong 3 'cannot read the text' 2 bench diagnostics --data "$work/nothing"
wrong 2 '--groups 3 must divide --micro-batches 8' 2 bench diagnostics --groups 3
wrong 2 'micro-batches 4 is less than the 5 ranks' 5 "${tiny[@]}"
wrong 2 "no bench 'diagnostic'; did you mean diagnostics" 1 bench diagnostic
ranks 2 bench diagnostics --help
expect_code 0 'bench diagnostics --help'
finish
