#!/usr/bin/env bash
# plumb train --adaptive-batch: the micro-batches of a step follow the noise scale, up and down,
# within their bounds and in multiples of the groups; the same for every number of ranks; rates and
# sums are of the batch as it was.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
make_images images
mlp=("${tiny_mlp[@]}" --data images --micro-batch-size 1 --micro-batches 8 --groups 4 --steps 40
    --evaluate-every 0 --save-parameters no)
gpt=("${tiny_gpt[@]}" --data text --micro-batches 32 --groups 4 --steps 12 --evaluate-every 0
    --save-parameters no)

# Images with labels that mean little: a large noise scale, K grows.
ranks 2 "${mlp[@]}" --adaptive-batch 8:40 --adaptive-every 5 --run up
expect_code 0 up
field up/metrics.jsonl micro_batches >counts
[ "$(wc -l <counts)" -eq 40 ] || failed 'not every step has its micro-batches'
[ "$(head -n 1 counts)" -eq 8 ] || failed 'it does not begin with --micro-batches'
[ "$(sort -n counts | tail -n 1)" -gt 16 ] || failed 'K does not grow'
awk '$1 < 8 || $1 > 40 || $1 % 4 { exit 1 }' counts || failed 'K leaves its bounds or multiples'
awk 'NR > 1 && $1 != last && (NR - 1) % 5 { exit 1 } { last = $1 }' counts ||
    failed 'K changes between the steps in which it may'
awk 'NR > 1 && ($1 > 2 * last || 2 * $1 < last) { exit 1 } { last = $1 }' counts ||
    failed 'K changes by more than two'
grep -q '"noise_scale_average":[0-9]' up/metrics.jsonl || failed 'no diagnostics by itself'
grep -q '^advice ' out || failed 'no advice by itself'

# A text that repeats itself: a small one, K shrinks.
ranks 2 "${gpt[@]}" --adaptive-batch 4:32 --adaptive-every 3 --run down
expect_code 0 down
[ "$(field down/metrics.jsonl micro_batches | tail -n 1)" -eq 4 ] || failed 'K does not shrink'

# The same for every number of ranks and owner map: MIN has 4 micro-batches.
for way in '1 sharded' '3 sharded' '2 rank0' '4 sharded'; do
    read -r count owners <<<"$way"
    rm -rf again
    ranks "$count" "${gpt[@]}" --adaptive-batch 4:32 --adaptive-every 3 --owners "$owners" \
        --run again
    expect_code 0 "$way"
    same down again
    for name in micro_batches noise_scale noise_scale_average; do
        [ "$(field down/metrics.jsonl $name)" = "$(field again/metrics.jsonl $name)" ] ||
            failed "$name differs: $way"
    done
done

# The learning rate stays, or follows K: K's quarter is a quarter, or half, of the rate.
for way in 'constant 0' 'linear 1' 'root 0.5'; do
    read -r how power <<<"$way"
    ranks 2 "${gpt[@]}" --adaptive-batch 4:32 --adaptive-every 3 --adaptive-rate "$how" \
        --schedule constant --warm-up 0 --run "$how"
    expect_code 0 "$how"
    paste <(field "$how/metrics.jsonl" micro_batches) <(field "$how/metrics.jsonl" learning_rate) |
        awk -v power="$power" 'NR == 1 { k = $1; rate = $2 }
            { x = rate * ($1 / k) ^ power / $2; seen += $1 != k }
            x < 0.999999 || x > 1.000001 { bad = 1 }
            END { exit bad || !seen }' || failed "--adaptive-rate $how: another rate"
done

# Until the first change it is the run with a fixed K; a bound that leaves no choice is one.
ranks 2 "${mlp[@]}" --run fixed
for name in loss parameters_hash; do
    [ "$(field up/metrics.jsonl $name | head -n 5)" = \
        "$(field fixed/metrics.jsonl $name | head -n 5)" ] || failed "$name: the first steps differ"
done
ranks 2 "${mlp[@]}" --adaptive-batch 8:8 --run bound
same fixed bound
grep -q noise_scale fixed/metrics.jsonl && failed 'a fixed batch is diagnosed'

# The corrections need the groups to stay, and they do.
ranks 2 "${mlp[@]}" --adaptive-batch 8:40 --adaptive-every 5 --optimizer adamw --correction loo \
    --run corrected
expect_code 0 'with a correction'
[ "$(field corrected/metrics.jsonl micro_batches | sort -u | wc -l)" -gt 1 ] ||
    failed 'K stays where it is with a correction'

# K is what the rule makes of the averages in the lines, in samples.
ranks 2 "${mlp[@]}" --micro-batch-size 4 --adaptive-batch 4:400 --adaptive-every 5 --run ruled
expect_code 0 ruled
paste <(field ruled/metrics.jsonl micro_batches) <(field ruled/metrics.jsonl noise_scale_average) \
    <(field ruled/metrics.jsonl noise_scale_average_error) |
    awk 'NR % 5 == 1 && NR > 1 && known {
            x = scale / 4; x = x < k / 2 ? k / 2 : x > 2 * k ? 2 * k : x
            x = 4 * int(x / 4 + 0.5); x = x < 4 ? 4 : x > 400 ? 400 : x
            wanted = x > 1.25 * k || x < 0.75 * k ? x : k
            free += wanted != 2 * k && 2 * wanted != k
            bad += $1 != wanted
        }
        { k = $1; scale = $2; known = $2 != "null" && $3 != "null" && $3 < $2 }
        END { exit bad || !free }' || failed 'K is not what the rule says'

# What was consumed: tokens per second times seconds is the sum over the steps of 2 x 16 K.
units=$(field down/metrics.jsonl micro_batches | awk '{ sum += 32 * $1 } END { print sum }')
awk -v a="$(field down/summary.json tokens_per_second)" \
    -v b="$(field down/summary.json step_seconds)" -v units="$units" \
    'BEGIN { x = a * b / units; exit !(x > 0.999 && x < 1.001) }' ||
    failed "tokens per second are not those of $units tokens"

wrong 2 'MIN:MAX must be whole numbers' 2 "${gpt[@]}" --adaptive-batch 16
wrong 2 'MIN:MAX must be whole numbers' 1 "${gpt[@]}" --adaptive-batch 64:32
wrong 2 'MIN:MAX must be whole numbers' 1 "${gpt[@]}" --adaptive-batch 4:32x
wrong 2 'multiples of the 4 groups' 1 "${gpt[@]}" --adaptive-batch 6:32
wrong 2 'micro-batches 32, where it begins, is outside' 1 "${gpt[@]}" --adaptive-batch 4:16
wrong 2 'MIN is less than the 3 ranks' 3 "${tiny_gpt[@]}" --data text --groups 2 \
    --adaptive-batch 2:8
wrong 2 'needs --diagnostics full' 1 "${gpt[@]}" --adaptive-batch 4:32 \
    --pipeline orthogonalise-then-average
wrong 2 'adaptive-rate needs --adaptive-batch' 1 "${gpt[@]}" --adaptive-rate root
wrong 2 'adaptive-every needs --adaptive-batch' 1 "${gpt[@]}" --adaptive-every 5
finish
