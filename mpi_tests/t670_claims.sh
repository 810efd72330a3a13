#!/usr/bin/env bash
# plumb claims: the same findings for every number of ranks, JSON with every claim's words, numbers
# and verdicts, verdicts that follow from the numbers, and wrong input.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

# count PATTERN FILE
count() {
    grep -c -- "$1" "$2"
}

# quick TOPIC CLAIMS: a quick run on one and two ranks, with so many claims.
quick() {
    for count in 1 2; do
        ranks "$count" claims "$1" --quick --json
        expect_code 0 "claims $1 on $count ranks"
        cp "$work/out" "$work/$1.$count"
    done
    cmp -s "$work/$1.1" "$work/$1.2" || failed "$1: 1 and 2 ranks measure other numbers"
    [ "$(field "$work/$1.1" claims)" = "\"$1\"" ] || failed "$1: the JSON does not say what it is"
    [ "$(field "$work/$1.1" goals)" = 0 ] || failed "$1: a quick run has goals"
    for key in title source correct reason checks points; do
        [ "$(count "^      \"$key\": " "$work/$1.1")" -eq "$2" ] || failed "$1: not $2 times $key"
    done
    [ "$(count '"verdict": null' "$work/$1.1")" -eq "$2" ] || failed "$1: a quick run judges"
    grep -q '"outcome": "\(holds\|fails\)"' "$work/$1.1" && failed "$1: a quick run judges checks"
    grep -q '"measured": null' "$work/$1.1" && failed "$1: a number was not measured"
    grep -q '"predicted_by": "corrected"' "$work/$1.1" || failed "$1: nothing is predicted"
}

quick claim3 1
if [ -z "$sanitized" ]; then
    quick orthogonal 8
    quick echo 9
    quick covariance "$(count '^      "title"' <(
        "$PLUMB" claims covariance --quick --json 2>/dev/null))"

    # A claim alone has the numbers that it has among the others.
    sed -n '/"claim": "claim3"/,/"points"/p' "$work/orthogonal.1" >"$work/among"
    sed -n '/"claim": "claim3"/,/"points"/p' "$work/claim3.1" >"$work/alone"
    cmp -s "$work/among" "$work/alone" || failed 'claim3 alone has other numbers'
fi

# Another seed, other numbers; names side by side or with commas; a name twice counts once.
ranks 2 claims claim3 --quick --json --seed 2
cmp -s <(grep measured "$work/out") <(grep measured "$work/claim3.1") &&
    failed 'another seed gives the same numbers'
ranks 1 claims claim3 claim3 --quick --json
cmp -s <(grep -v '"claims"' "$work/out") <(grep -v '"claims"' "$work/claim3.1") ||
    failed 'a name twice gives another result'

if [ -z "$sanitized" ]; then
    # A full run judges, and its exit code says whether the corrected statements hold.
    ranks 2 claims claim2,claim3 --json
    expect_code 0 'claims 2 and 3 in full'
    [ "$(field "$work/out" goals)" = 2 ] || failed 'not two goals'
    [ "$(field "$work/out" missed)" = 0 ] || failed 'a goal is missed'
    [ "$(count '"verdict": "holds as corrected"' "$work/out")" -eq 2 ] || failed 'other verdicts'
    grep -q '"outcome": "undecided"' "$work/out" && failed 'a check is undecided'
    # M7: the cube of |g| fails, the square holds, in the same claim.
    grep -A 8 '"quantity": "shortening along z"' "$work/out" >"$work/checks"
    [ "$(count '"outcome": "fails"' "$work/checks")" -eq 2 ] || failed 'the cube of |g| passes'
    [ "$(count '"outcome": "holds"' "$work/checks")" -eq 2 ] || failed 'the square of |g| fails'
    ranks 2 claims claim3
    expect_code 0 'claim 3 as text'
    grep -q 'VERDICT  holds as corrected: linear terms' "$work/out" || failed 'no verdict as text'
fi

# Progress goes to standard error only.
ranks 2 claims claim3 --quick --json --progress always
cmp -s "$work/out" "$work/claim3.2" || failed 'progress changes the output'
grep -q '^step *1/1' "$work/err" || failed 'no progress'

wrong 2 "no claims about 'claim9'" 2 claims claim9
wrong 2 "no claims about 'claim9'" 2 claims claim3,claim9
wrong 2 'give it alone' 1 claims correction claim1
wrong 2 'belongs to plumb claims correction' 2 claims echo --only roots
wrong 2 'which claims' 1 claims --names ''
finish
