#!/usr/bin/env bash
# A NaN in one rank's gradient: the run stops with the place named, or skips the update and goes on.
# PLUMB_TEST_POISON="RANK:STEP:MICRO-BATCH" makes one (steps from 1, micro-batches from 0).
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
gpt=("${tiny_gpt[@]}" --data text)

ranks 2 "${gpt[@]}" --run clean
expect_code 0 'clean run'

# Of four micro-batches on two ranks, rank 1 has the last two.
PLUMB_TEST_POISON=1:3:3 ranks 2 "${gpt[@]}" --run stop
expect_code 4 'stop'
expect_line "rank 1.*micro-batch 3\|micro-batch 3.*rank 1"
[ "$(field stop/metrics.jsonl step | tail -n 1)" = 2 ] || failed 'metrics do not end after step 2'
[ "$(field stop/summary.json status)" = '"failed"' ] || failed 'the summary does not say failed'
[ "$(head -n 3 clean/metrics.jsonl | field /dev/stdin parameters_hash)" = \
    "$(field stop/metrics.jsonl parameters_hash)" ] || failed 'parameters changed before the NaN'

PLUMB_TEST_POISON=1:3:3 ranks 2 "${gpt[@]}" --run skip --on-nonfinite skip
expect_code 0 'skip'
[ "$(wc -l <skip/metrics.jsonl)" -eq 6 ] || failed 'a line of metrics is missing'
line=$(sed -n 4p skip/metrics.jsonl)
[[ $line == *'"step":3'*'"skipped":true'*"rank 1"* ]] || failed "not a skipped line: $line"
[ "$(grep -c skipped skip/metrics.jsonl)" -eq 1 ] || failed 'more than one update was skipped'
hashes=$(field skip/metrics.jsonl parameters_hash)
[ "$(sed -n 3p <<<"$hashes")" = "$(sed -n 4p <<<"$hashes")" ] || failed 'a skipped update changed values'
[ "$(sed -n 4p <<<"$hashes")" != "$(sed -n 5p <<<"$hashes")" ] || failed 'no update after the skipped one'
[ "$(field skip/summary.json steps_skipped)" = 1 ] || failed 'the summary does not count the skip'
[ "$(field skip/summary.json status)" = '"completed"' ] || failed 'the skipping run is not completed'
[ ! -e stop/parameters ] || failed 'the stopped run saved parameters'
[ -e skip/parameters ] || failed 'the skipping run saved no parameters'

# Without a single update the table leaves out what is not known.
PLUMB_TEST_POISON=1:1:3 ranks 2 "${gpt[@]}" --steps 1 --run none --on-nonfinite skip
expect_code 0 'no update'
grep -q '^held-out loss' "$work/out" || failed 'no table without an update'
grep -q '[^a-z]nan' "$work/out" && failed 'the table has NaN'

# In the curvature of step 3, which is then still due in step 4.
sophia=("${gpt[@]}" --optimizer sophia --curvature-interval 2)
PLUMB_TEST_POISON=1:3:3:curvature ranks 2 "${sophia[@]}" --run sophia-stop
expect_code 4 'sophia-stop'
expect_line 'curvature.*rank 1.*micro-batch 3'
PLUMB_TEST_POISON=1:3:3:curvature ranks 2 "${sophia[@]}" --run sophia-skip --on-nonfinite skip
expect_code 0 'sophia-skip'
[ "$(field sophia-skip/summary.json steps_skipped)" = 1 ] || failed 'not one step was skipped'
[[ $(sed -n 4p sophia-skip/metrics.jsonl) == *'"skipped":true'* ]] || failed 'another step was skipped'
PLUMB_TEST_POISON=1:2:3:curvature ranks 2 "${sophia[@]}" --run sophia-fine
expect_code 0 'no curvature in step 2'
finish
