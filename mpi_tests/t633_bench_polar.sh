#!/usr/bin/env bash
# plumb bench polar on small matrices: fields, order of quartiles, errors within the library's
# contract, goals only where there are some, row panels on two ranks, and wrong input.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

polar=(bench polar --seconds 0 --batch 0)

# Every method at shapes without goals but one: exact against sgesdd from 64 on.
ranks 1 "${polar[@]}" --shapes 96x32,64x80 --accuracy-side 32 --json
missed=$(grep -c '"verdict": "missed"' "$work/out")
expect_code $((missed > 0)) "$missed goals missed"
cp "$work/out" "$work/json"
[ "$(field "$work/json" bench)" = '"polar"' ] || failed 'the JSON does not say what it is'
[ "$(field "$work/json" times_faster_than_sgesdd | wc -l)" -eq 16 ] || failed 'not 2 x 8 methods'
[ "$(field "$work/json" band | wc -l)" -eq 64 ] || failed 'not 2 x 4 x 8 errors'
[ "$(field "$work/json" errors_at_cols | tr '\n' ' ')" = '32 40 ' ] || failed 'errors elsewhere'
for name in seconds products times_faster_than_newton_schulz; do
    paste <(field "$work/json" "${name}_lower_quartile") <(field "$work/json" "$name") \
        <(field "$work/json" "${name}_upper_quartile") |
        awk '!($1 > 0 && $1 <= $2 && $2 <= $3 && $3 < 1e9) { exit 1 }' ||
        failed "$name are not positive and in order"
done

# What every method promises of its errors: METHOD FIELD LARGEST [INPUT].
errors_at_most() {
    awk -v method="\"$1\"," -v name="\"$2\":" -v most="$3" -v input="$4" '
        $1 == "\"input\":" { current = $0 }
        $1 == "\"method\":" { known = $2 == method }
        known && $1 == name && index(current, input) {
            seen = 1
            if (!($2 + 0 <= most)) bad = bad " " $2
        }
        END { if (!seen || bad != "") { print "values" bad; exit 1 } }' "$work/json" \
        >"$work/values" || failed "$1: $2 above $3: $(cat "$work/values")"
}
errors_at_most fast band 1.3e-2 ''
errors_at_most fast-3e-3 band 0.9e-2 ''
errors_at_most exact orthogonality 2e-6 ''
errors_at_most exact forward_error 1e-6 'condition 1e6'
errors_at_most exact forward_error 1e-4 'condition 1e7'
errors_at_most svd forward_error 1e-6 ''
errors_at_most newton-schulz highest_value 1.21 ''
errors_at_most polar-express forward_error 5e-2 random

# A goal is judged where the list of shapes has it, and the exit code follows.
ranks 1 "${polar[@]}" --shapes 256x256 --methods fast,newton-schulz --accuracy-side 0
grep -q '^fast, 256x256: products ' "$work/out" || failed 'no goal at 256x256'
grep -q 'errors at' "$work/out" && failed 'errors without being asked'
missed=$(grep -c MISSED "$work/out")
expect_code $((missed > 0)) "$missed goals missed"
[ "$missed" -eq 0 ] || expect_line "$missed of 2 goals missed"

# Many in one call.
ranks 1 bench polar --seconds 0 --shapes none --batch 20 --json
expect_code 0 'bench polar of a batch'
[ "$(field "$work/out" count)" = 20 ] || failed 'not 20 matrices'
for name in batch_products single_products newton_schulz_products batch_over_single; do
    field "$work/out" $name | awk '!($1 > 0 && $1 < 1e6) { exit 1 }' || failed "$name"
done

# Two ranks: one matrix over both, against one rank.
ranks 2 "${polar[@]}" --shapes none --panels 512x64 --json
expect_code 0 'bench polar on two ranks'
[ "$(field "$work/out" rounds)" -ge 5 ] || failed 'fewer than five rounds'
for name in one_rank_update_seconds all_ranks_update_seconds times_faster call_times_faster; do
    field "$work/out" $name | awk '!($1 > 0 && $1 < 1e6) { exit 1 }' || failed "panels: $name"
done
ranks 2 "${polar[@]}" --shapes 24x16 --methods svd --panels none --progress always
expect_code 0 'bench polar without panels'
grep -q 'panels' "$work/out" && failed 'panels without being asked'
grep -q '^step *2/2' "$work/err" || failed 'no progress on standard error'

for shapes in 4096 4096x x16 0x5 16x16x16 '16x16,' 1000001x1 100000x100000; do
    wrong 2 "shapes '$shapes'" 1 "${polar[@]}" --shapes "$shapes"
done
wrong 2 'condition 0.5 is neither 0 nor at least 1' 1 "${polar[@]}" --condition 0.5
wrong 2 "'quick' is none of fast, fast-3e-3" 1 "${polar[@]}" --methods fast,quick
wrong 2 "panels 'all' is no shape" 2 "${polar[@]}" --panels all
wrong 2 'did you mean --shapes' 1 bench polar --shape 16x16
ranks 1 bench polar --help
expect_code 0 'bench polar --help'
finish
