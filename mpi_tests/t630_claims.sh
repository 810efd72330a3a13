#!/usr/bin/env bash
# plumb claims correction: the same numbers for every number of ranks, other numbers for another
# seed, biases where theory has them, and wrong input.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

claims=(claims correction --quick)

counts='1 2 3'
[ -z "$sanitized" ] || counts='1 2'
for count in $counts; do
    ranks "$count" "${claims[@]}" --json
    expect_code 0 "claims on $count ranks"
    cp "$work/out" "$work/json.$count"
done
for count in ${counts#1 }; do
    cmp -s "$work/json.1" "$work/json.$count" || failed "1 and $count ranks measure other numbers"
done
[ "$(field "$work/json.1" claims)" = '"correction"' ] || failed 'the JSON does not say what it is'
[ "$(field "$work/json.1" goals)" = 0 ] || failed 'a quick run gives verdicts'
rows=$(grep -c '"estimator"' "$work/json.1")
[ "$rows" -ge 100 ] || failed "$rows rows, expected 100 and more"

# Progress goes to standard error only.
ranks 2 "${claims[@]}" --only curvature --progress always
expect_code 0 'claims with progress'
grep -q '^step *2/2' "$work/err" && failed 'a rank shows the progress of others'
grep -q '^step *1/1' "$work/err" || failed 'no progress on standard error'

# One subject alone has the numbers that it has among the others; so do text and JSON.
cp "$work/out" "$work/curvature"
ranks 2 "${claims[@]}" --only curvature --seed 2
cmp -s "$work/out" "$work/curvature" && failed 'another seed gives the same numbers'

# bias CASE ESTIMATOR: predicted, measured and standard error from the table, in percent.
bias() {
    awk -v want="$1" -v estimator="$2" '
        substr($0, 1, 38) !~ /^ *$/ { name = substr($0, 1, 38); sub(/ *$/, "", name) }
        { label = substr($0, 40, 22); gsub(/^ *| *$/, "", label) }
        name == want && label == estimator { $0 = substr($0, 62); print $1, $2, $3 }' "$work/table"
}

# near CASE ESTIMATOR SLACK: measured is as predicted within five standard errors and SLACK.
near() {
    local numbers
    numbers=$(bias "$1" "$2")
    awk -v slack="$3" '{ d = $1 - $2; exit !(NF == 3 && d * d <= (5 * $3 + slack) ^ 2) }' \
        <<<"$numbers" || failed "$1, $2: predicted, measured, error are '$numbers'"
}

ranks 2 "${claims[@]}"
expect_code 0 'claims as a table'
cp "$work/out" "$work/table"
# The slack is the next order's.
near 'adamw c=1/8 mu/sigma=0.3' none 0.03
near 'adamw c=1/8 mu/sigma=0.3' 'its inversion' 0.03
near 'adamw c=1/8 mu/sigma=0.3' 'its coupling' 0.05
near 'adamw c=1/8 mu/sigma=0.3' moment 0.12
near 'adamw c=1 mu/sigma=1' plain 0.001
near 'adamw c=1 mu/sigma=1' jackknife 0.001
near 'coupling left, of Cov(m, v)' 'same-step crossing' 0.1
near 'coupling left, of Cov(m, v)' 'rolling folds' 0.1
near 'curvature h of one step' none 0.5
near 'curvature h of one step' moment 1.2
near 'curvature h averaged, beta2=0.9' none 0.01
near 'root -1/4, 4 columns correlated 0' none 0.3
near 'root -1/4, 4 columns correlated 0' second-order 0.4
near 'root -1/4, 6 columns correlated 0.5' none 0.3
near 'shampoo 6 x 5, G=12, one step' jackknife 0.2
near 'shampoo 6 x 5, G=12, one step' 'plain roots' 0.1

if [ -z "$sanitized" ]; then
    # A full run judges second-order and jackknife in each of the six cases of roots, and its exit code
    # says whether all goals are met.
    ranks 2 claims correction --only roots --json
    [ "$(field "$work/out" goals)" = 12 ] || failed "$(field "$work/out" goals) goals of roots, not 12"
    missed=$(grep -c '"verdict": "missed"' "$work/out")
    [ "$(field "$work/out" missed)" = "$missed" ] || failed 'missed goals are miscounted'
    expect_code $((missed > 0)) "$missed goals missed"
    [ "$missed" -eq 0 ] || expect_line "$missed of 12 goals missed"
fi

wrong 2 'which claims' 2 claims ''
wrong 2 "no claims about 'ecco'" 2 claims ecco
wrong 2 'give it alone' 2 claims correction echo
wrong 2 "unexpected argument 'twice'" 1 claims correction --quick twice
wrong 2 "'muon' is none of all, adamw" 2 claims correction --only muon
wrong 2 'seed -1 is out of range' 1 claims correction --seed -1
wrong 2 'did you mean --quick' 2 claims correction --quik
ranks 2 claims --help
expect_code 0 'claims --help'
grep -q 'goal' "$work/out" || failed 'claims --help does not speak of goals'
finish
