#!/usr/bin/env bash
# plumb bench root on small matrices: fields, order of quartiles, errors, and wrong input.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

ranks 1 bench root --seconds 0 --sides 24,48 --conditions 1e2,1e4 --json
expect_code 0 'bench root'
cp "$work/out" "$work/json"
[ "$(field "$work/json" bench)" = '"root"' ] || failed 'the JSON does not say what it is'
[ "$(field "$work/json" root | wc -l)" -eq 12 ] || failed 'not 2 x 2 x 3 rows'
[ "$(field "$work/json" error | wc -l)" -eq 40 ] || failed 'not 3 methods a row and 4 in four rows'
[ "$(field "$work/json" iterations | wc -l)" -eq 4 ] || failed 'not four coupled iterations'
grep -q '"verdict"' "$work/json" && failed 'goals at small sides'
for name in seconds products times_faster_than_coupled_newton; do
    paste <(field "$work/json" "${name}_lower_quartile") <(field "$work/json" "$name") \
        <(field "$work/json" "${name}_upper_quartile") |
        awk '!($1 > 0 && $1 <= $2 && $2 <= $3 && $3 < 1e9) { exit 1 }' ||
        failed "$name are not positive and in order"
done

# METHOD LARGEST: its relative error in every row.
errors_at_most() {
    awk -v method="\"$1\"," -v most="$2" '
        $1 == "\"method\":" { known = $2 == method }
        known && $1 == "\"error\":" { seen++; if (!($2 + 0 <= most)) bad = bad " " $2 }
        END { if (!seen || bad != "") { print bad; exit 1 } }' "$work/json" >"$work/values" ||
        failed "$1: errors above $2: $(cat "$work/values")"
}
errors_at_most eigen 1e-10
errors_at_most coupled-newton 2e-4
errors_at_most rational 2e-4

# On two ranks rank 0 measures.
ranks 2 bench root --seconds 0 --sides 16 --conditions 10 --progress always
expect_code 0 'bench root as a table'
[ "$(grep -c 'power -1/' "$work/out")" -eq 3 ] || failed 'not three roots in the table'
grep -q '^step *3/3' "$work/err" || failed 'no progress on standard error'

for sides in 0 16385 '8,' 8.5 many; do
    wrong 2 "sides '$sides'" 1 bench root --sides "$sides"
done
wrong 2 "conditions '0.5'" 1 bench root --conditions 0.5
wrong 2 'up to 8 numbers' 1 bench root --sides 1,2,3,4,5,6,7,8,9
ranks 1 bench root --help
expect_code 0 'bench root --help'
finish
