#!/usr/bin/env bash
# plumb bench scaling on a tiny model: every optimizer's row, shares and efficiencies that make
# sense, and wrong input.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

tiny=(bench scaling --layers 1 --width 32 --heads 2 --context 16 --micro-batch-size 1
    --micro-batches 4 --seconds 0)

for count in 1 2 3; do
    ranks "$count" "${tiny[@]}" --json
    expect_code 0 "bench scaling on $count ranks"
    rows=$(field "$work/out" optimizer | wc -l)
    [ "$rows" -eq 8 ] || failed "$rows rows, expected 8"
    [ "$(field "$work/out" ranks)" = "$count" ] || failed 'another number of ranks'
    field "$work/out" outside | awk '!($1 > 0 && $1 < 1) { exit 1 }' ||
        failed "shares outside: $(field "$work/out" outside | tr '\n' ' ')"
    paste <(field "$work/out" seconds) <(field "$work/out" gradient_seconds) \
        <(field "$work/out" exchange_seconds) <(field "$work/out" update_seconds) |
        awk '!($1 > $2 && $2 > 0 && $3 >= 0 && $1 > $3 && $4 >= 0 && $1 > $4) { exit 1 }' ||
        failed 'parts of a step are not parts of it'
    if [ "$count" -eq 1 ]; then
        [ "$(field "$work/out" efficiency | sort -u)" = null ] || failed 'efficiency of one rank'
    else
        field "$work/out" efficiency | awk '!($1 > 0 && $1 < 1e3) { exit 1 }' ||
            failed "efficiencies: $(field "$work/out" efficiency | tr '\n' ' ')"
    fi
    grep -q '"verdict"' "$work/out" && failed 'goals for a tiny model'
done

make_text "$work/text" 20000
ranks 2 "${tiny[@]}" --only goals --data "$work/text" --progress always
expect_code 0 'bench scaling as a table'
[ "$(grep -c '^adamw\|^muon fast' "$work/out")" -eq 2 ] || failed 'not two rows with a goal'
grep -q '^step *2/2' "$work/err" || failed 'no progress on standard error'

wrong 2 'micro-batches 4 is less than the 5 ranks' 5 "${tiny[@]}"
wrong 3 'cannot read the text' 2 "${tiny[@]}" --data "$work/nothing"
wrong 2 '--heads' 2 "${tiny[@]}" --heads 3
wrong 2 'is none of all, goals' 1 "${tiny[@]}" --only muon
ranks 1 bench scaling --help
expect_code 0 'bench scaling --help'
finish
