#!/usr/bin/env bash
# plumb plan: help, fields, sense (one rank exchanges nothing; bytes as the library counts them),
# constants from a file, and wrong input.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1

tiny=(--layers 1 --width 32 --heads 2 --context 16 --micro-batch-size 1 --micro-batches 4)
ranks 1 plan --help
expect_code 0 'plan --help'
for word in network-bandwidth Gbit/s microseconds constants shapes ranks-per-node; do
    grep -q -- "$word" out || failed "the help lacks $word"
done

ranks 2 plan "${tiny[@]}" --ranks 1,2,4,100000 --ranks-per-node 4 --measure constants --json
expect_code 0 'plan on two ranks'
for name in gradient_seconds first_leg_seconds update_seconds second_leg_seconds \
    agreement_seconds efficiency exchange_bytes best groups imbalance; do
    [ "$(field out $name | wc -l)" -eq 8 ] || failed "not 8 rows with $name"
done
[ "$(field out exchange_bytes | head -n 2 | sort -u)" = 0.0 ] || failed 'one rank sends bytes'
[ "$(field out best | grep -c true)" -eq 4 ] || failed 'not one best map a rank count'
for name in first_leg_seconds second_leg_seconds agreement_seconds; do
    [ "$(field out $name | head -n 2 | sort -u)" = 0.0 ] || failed "one rank has $name"
    field out $name | tail -n 6 | awk '!($1 > 0) { exit 1 }' || failed "several ranks have no $name"
done
elements=$(field out parameters)
field out exchange_bytes | sed -n 3,6p | awk -v n="$elements" '
    { wanted = 8 * n * (NR <= 2 ? 1 : 3); if (($1 - wanted)^2 > 1) exit 1 }' ||
    failed 'bytes are not 8 (P - 1) a parameter'

# A micro-batch a rank: more ranks than --micro-batches have as many, a multiple of --groups; the
# efficiency is that of a rank's micro-batches a second.
ranks 1 plan "${tiny[@]}" --constants constants --groups 4 --ranks 1,4,5,8,10 --json
expect_code 0 'plan of more ranks than micro-batches'
[ "$(field out micro_batches | tr '\n' ' ')" = '4 4 4 4 8 8 8 8 12 12 ' ] ||
    failed "micro-batches: $(field out micro_batches | tr '\n' ' ')"
paste <(field out ranks) <(field out micro_batches) <(field out seconds) <(field out efficiency) |
    awk 'NR == 2 { one = $3 / $2 }
        NR > 1 { wrong = $4 * $1 * $3 / $2 / one - 1; if (wrong > 1e-6 || wrong < -1e-6) bad++ }
        END { exit NR != 10 || bad > 0 }' || failed 'efficiencies'
grep -q warning out && failed 'a warning in JSON'
ranks 1 plan "${tiny[@]}" --constants constants --ranks 5 --ranks-per-node 4097 --json
expect_code 2 'more ranks a node than there may be'
ranks 1 plan "${tiny[@]}" --constants constants --ranks 64 --ranks-per-node 64 --cores-per-node 8
grep -q '^warning .*64 ranks a node share 8 cores' out || failed 'no warning of shared cores'
ranks 1 plan "${tiny[@]}" --constants constants --ranks 64 --ranks-per-node 8 --cores-per-node 8
grep -q '^warning' out && failed 'a warning of a core a rank'

# What the library itself counts.
make_text text 20000
ranks 2 train --model gpt "${tiny[@]}" --steps 2 --data text --run run
expect_code 0 train
measured=$(field run/metrics.jsonl exchange_bytes | tail -n 1)
awk -v a="$measured" -v n="$elements" 'BEGIN { exit !(a > 7.9 * n && a < 8.2 * n) }' ||
    failed "training sent $measured bytes for $elements parameters"

# The constants again: the same answer twice, and refused for another optimizer.
ranks 1 plan "${tiny[@]}" --constants constants --ranks 1,2 --json --plot columns
expect_code 0 'plan from constants'
cp out first
ranks 1 plan "${tiny[@]}" --constants constants --ranks 1,2 --json
cmp -s out first || failed 'the same constants give another plan'
[ "$(grep -c '^ *[12] ' columns)" -eq 4 ] || failed 'no columns to plot'
wrong 2 "optimizer is 'muon'" 1 plan "${tiny[@]}" --constants constants --optimizer adamw

# Shapes from a file; a correction makes more groups than ranks cost bytes.
printf '# a model\nhidden 4096 1024 adamw\nbias 1 1024 adamw\n' >shapes
ranks 1 plan --shapes shapes --optimizer adamw --correction loo --gradient-seconds 0.1 \
    --groups 8 --ranks 2 --json
expect_code 0 'plan of a file'
[ "$(field out first_leg_ratio | sort -u)" = 4.0 ] || failed 'the first leg is not G/P'
[ "$(field out parameters)" = 4195328 ] || failed 'another number of parameters'

# So do echo weights, which belong to the constants.
printf 'hidden 256 256 muon\n' >square
ranks 1 plan --shapes square --weights echo --gradient-seconds 0.1 --groups 8 --ranks 2 --json \
    --measure echo
expect_code 0 'plan of echo weights'
[ "$(field out first_leg_ratio | sort -u)" = 4.0 ] || failed 'echo weights get sums alone'
with=$(field out update_seconds | head -n 1)
ranks 1 plan --shapes square --gradient-seconds 0.1 --groups 8 --ranks 2 --json
awk -v a="$with" -v b="$(field out update_seconds | head -n 1)" 'BEGIN { exit !(a > 2 * b) }' ||
    failed 'echo weights cost nothing'
wrong 2 "weights is 'echo'" 1 plan --shapes square --gradient-seconds 0.1 --constants echo

echo 'hidden 4096' >bad
wrong 3 'line 1: expected' 1 plan --shapes bad
wrong 3 'cannot read' 1 plan --shapes nothing
wrong 3 'cannot read' 1 plan "${tiny[@]}" --constants nothing
wrong 2 'expected up to' 1 plan --ranks 1,x
wrong 2 'does not divide' 1 plan "${tiny[@]}" --constants constants --groups 3
finish
