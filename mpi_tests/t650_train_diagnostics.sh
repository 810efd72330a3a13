#!/usr/bin/env bash
# plumb train --diagnostics: the fields and when they are there, the same bits of parameters with
# and without, the same diagnoses for every number of ranks and owner map, advice as the last word,
# and what there is nothing to say about.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
gpt=("${tiny_gpt[@]}" --data text --micro-batches 8 --evaluate-every 0 --save-parameters no)
economy='noise_scale noise_scale_error noise_trace noise_trace_error signal signal_error plateau
    noise_scale_average noise_scale_average_error'
full='group_noise_scale group_noise_scale_error top_eigenvalue eigenvalue_share update_bias
    update_bias_error update_variance update_variance_error update_ratio update_ratio_error
    update_streamed_ratio nuclear_noise_scale echo directions directions_of'

# has LINE FIELD...; lacks LINE FIELD...
has() {
    local line=$1 name
    shift
    for name; do
        [[ $line == *"\"$name\":"* ]] || failed "no field $name in ${line:0:200}"
    done
}
lacks() {
    local line=$1 name
    shift
    for name; do
        [[ $line != *"\"$name\":"* ]] || failed "a field $name in ${line:0:200}"
    done
}

# What does not depend on time and ranks of a run's metrics.
deterministic() {
    local changing='seconds|tokens_per_second|exchange_bytes|exchange_seconds|update_seconds|overlap|diagnosis_seconds'
    sed -E "s/\"($changing)\":[^,}]*,?//g" "$1/metrics.jsonl"
}

ranks 2 "${gpt[@]}" --run off
expect_code 0 off
# shellcheck disable=SC2086 # lists of names
lacks "$(cat off/metrics.jsonl off/summary.json)" $economy $full advice limit layers
grep -q '^advice' out && failed 'advice without diagnostics'

ranks 2 "${gpt[@]}" --diagnostics economy --run economy
expect_code 0 economy
while read -r line; do
    # shellcheck disable=SC2086
    has "$line" $economy
    # shellcheck disable=SC2086
    lacks "$line" $full layers
done < <(tail -n +2 economy/metrics.jsonl)
[ "$(grep '"advice"' economy/metrics.jsonl | field /dev/stdin step | tr '\n' ' ')" = '1 5 ' ] ||
    failed 'advice is not in the first and the last line'
grep -q '"noise_scale":[0-9]' economy/metrics.jsonl || failed 'no noise scale is a number'

ranks 2 "${gpt[@]}" --diagnostics full --diagnostics-every 2 --diagnostics-layers --run full
expect_code 0 full
for step in 1 3 5; do
    # shellcheck disable=SC2086
    has "$(sed -n $((step + 1))p full/metrics.jsonl)" $economy $full layers advice limit observed \
        signals echoes
done
for step in 2 4; do
    # shellcheck disable=SC2086
    lacks "$(sed -n $((step + 1))p full/metrics.jsonl)" $full advice observed
done
line=$(sed -n 2p full/metrics.jsonl)
for name in update_bias update_variance update_ratio top_eigenvalue echo group_noise_scale; do
    [[ ${line%%\"layers\"*} =~ \"$name\":-?[0-9] ]] || failed "$name is not a number"
done
spectrum=$(grep -o '"blocks\?[^{]*{[^{}]*"observed":[^]]*' <<<"$line" | head -n 1)
[ -n "$spectrum" ] || spectrum=$(grep -o '"observed":\[[^]]*' <<<"$line" | head -n 1)
[[ $spectrum =~ [0-9] ]] || failed 'no spectrum of a matrix'
tail -n 1 off/metrics.jsonl | field /dev/stdin parameters_hash >expected
for run in economy full; do
    tail -n 1 $run/metrics.jsonl | field /dev/stdin parameters_hash | cmp -s expected - ||
        failed "--diagnostics $run changes the parameters"
done

# What diagnoses took: in diagnosed steps alone, and together in the summary.
field full/metrics.jsonl diagnosis_seconds | awk 'NR % 2 ? !($1 > 0) : $1 != 0 { bad = 1 }
    END { exit bad || NR != 5 }' || failed 'diagnosis_seconds are not those of diagnosed steps'
field full/metrics.jsonl diagnosis_seconds | awk -v all="$(field full/summary.json diagnosis)" '
    { sum += $1 } END { x = all / sum; exit !(x > 0.999 && x < 1.001) }' ||
    failed 'phase_seconds lack the diagnoses'
lacks "$(cat economy/metrics.jsonl economy/summary.json)" diagnosis_seconds diagnosis

# The words: in the last line, in the summary, and last on standard output.
has "$(tr -d '\n' <full/summary.json)" advice limit noise_scale noise_scale_error
advice=$(sed -n 's/^ *"advice": "\(.*\)",$/\1/p' full/summary.json)
[ -n "$advice" ] || failed 'no advice in the summary'
sed -n '/^advice  /,$p' out | sed 's/^advice//' | tr -s ' \n' ' ' | sed 's/^ //; s/ $//' >said
[ "$(cat said)" = "$advice" ] || failed "the last words are not the summary's advice: $(cat said)"
tail -n 1 full/metrics.jsonl | grep -qF "\"advice\":\"$advice\"" ||
    failed "the last line's advice is another"

# What is said rests on the numbers of the lines: averages over steps with factor 0.95, and bias over
# variance of muon's parameters as in the one full diagnosis of a run.
ranks 2 "${gpt[@]}" --diagnostics full --diagnostics-every 100 --diagnostics-layers --run once
expect_code 0 once
python3 - <<'PYTHON' || failed 'averages and advice are not made of the lines'
import json, math, re
lines = [json.loads(line) for line in open("once/metrics.jsonl")][1:]
trace = signal = 0.0
for line in lines:
    norm = line["signal"] + line["noise_trace"] / 2  # of a micro-batch of two samples
    trace = 0.95 * trace + line["noise_trace"] / norm
    signal = 0.95 * signal + line["signal"] / norm
    scale = line["noise_scale_average"]
    assert scale is None or math.isclose(scale, trace / signal, rel_tol=1e-6), (scale, trace / signal)
assert scale is not None
summary = json.load(open("once/summary.json"))
assert summary["noise_scale"] == scale
assert summary["noise_scale_error"] == lines[-1]["noise_scale_average_error"]
layers = [layer for name, layer in lines[0]["layers"].items()
          if re.search("attention|mlp", name) and layer["update_variance"] is not None]
total = lines[0]
assert len(layers) > 3
for layer in layers:  # of the step, the mean of 8 groups
    assert math.isclose(layer["update_bias"] / layer["update_variance"], layer["update_ratio"])
    assert math.isclose(layer["update_streamed_ratio"], 64 * layer["update_ratio"])
bias = sum(layer["update_bias"] for layer in layers)
variance = sum(layer["update_variance"] for layer in layers)
error = math.sqrt(sum(layer["update_bias_error"] ** 2 for layer in layers))
said = re.search(r"orthogonalised update: (\S+) ± (\d\S*\d)", lines[-1]["advice"])
assert math.isclose(float(said[1]), bias / variance, rel_tol=0.05, abs_tol=0.05 * error / variance), (
    said[1], bias / variance)
assert math.isclose(float(said[2]), error / variance, rel_tol=0.06), (said[2], error / variance)
spectrum = layers[0]
assert spectrum["observed"] != spectrum["signals"] != spectrum["echoes"]
PYTHON

# Every number of ranks, every owner map: the same text.
deterministic full >expected
for way in '1 sharded on' '3 sharded off' '2 rank0 on'; do
    read -r count owners memory <<<"$way"
    rm -rf again
    ranks "$count" "${gpt[@]}" --diagnostics full --diagnostics-every 2 --diagnostics-layers \
        --owners "$owners" --shared-memory "$memory" --run again
    expect_code 0 "$way"
    deterministic again | cmp -s expected - || failed "diagnoses differ: $way"
done

# --json stays JSON, with the advice in it.
ranks 1 "${gpt[@]}" --diagnostics economy --json --run json
cmp -s out json/summary.json || failed '--json does not print the summary'
grep -q '"advice": "' out || failed 'no advice in JSON'

# One micro-batch has no spread: null, and words that say so.
ranks 1 "${tiny_gpt[@]}" --data text --micro-batches 1 --diagnostics full --run one
expect_code 0 'one micro-batch'
for name in noise_scale plateau update_ratio noise_scale_average; do
    grep -q "\"$name\":null" one/metrics.jsonl || failed "$name is not null with one micro-batch"
done
tr -s ' \n' ' ' <out | grep -q 'Not enough data .*cut it into several' ||
    failed 'one micro-batch, and no word about it'
[ "$(field one/summary.json limit)" = '"unknown"' ] || failed 'a limit from one micro-batch'

# A step that was skipped has no diagnosis, and the next one has.
PLUMB_TEST_POISON=0:2:1 ranks 2 "${gpt[@]}" --diagnostics full --diagnostics-every 1 \
    --on-nonfinite skip --run skip
expect_code 0 'skipped step'
lacks "$(sed -n 3p skip/metrics.jsonl)" noise_scale advice
has "$(sed -n 4p skip/metrics.jsonl)" noise_scale update_ratio

# An optimizer that orthogonalises nothing gets advice about the batch alone.
ranks 2 "${gpt[@]}" --optimizer adamw --diagnostics full --run adamw
expect_code 0 adamw
grep -q 'bias over variance' out && failed 'adamw is told of a bias that it does not have'

# Groups that are orthogonalised before their mean: the noise of full steps alone, and a bias that
# is that of the pipeline.
ranks 2 "${gpt[@]}" --micro-batches 32 --groups 32 --pipeline orthogonalise-then-average \
    --diagnostics full --diagnostics-every 2 --run streamed
expect_code 0 streamed
grep -q '"noise_scale":[0-9]' streamed/metrics.jsonl && failed 'a noise scale without a mean gradient'
grep -q '"noise_scale_average":[0-9]' streamed/metrics.jsonl || failed 'no noise scale of groups'
tr -s ' \n' ' ' <out | grep -q 'More ranks or groups do not remove it' ||
    failed 'no word about a bias that ranks do not remove'

wrong 2 "--diagnostics .*none of off, economy, full" 2 "${gpt[@]}" --diagnostics some
wrong 2 '--diagnostics-every 0 ' 1 "${gpt[@]}" --diagnostics full --diagnostics-every 0
wrong 2 '--diagnostics-every needs --diagnostics' 2 "${gpt[@]}" --diagnostics-every 5
wrong 2 '--diagnostics-layers needs --diagnostics' 1 "${gpt[@]}" --diagnostics-layers
finish
