#!/usr/bin/env bash
# The run directory: its files, the fields of every line of metrics, and the names of runs.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
make_images images

# check_fields LINE FIELD...
check_fields() {
    local line=$1 name
    shift
    for name; do
        [[ $line == *"\"$name\":"* ]] || failed "no field $name in $line"
    done
}

ranks 2 "${tiny_gpt[@]}" --data text --generate 12 --prompt 'the quick '
expect_code 0 'gpt'
run=runs/gpt-muon-1
files=$(find $run -maxdepth 1 -type f -printf '%f\n' | sort | tr '\n' ' ')
[ "$files" = 'config.json metrics.jsonl summary.json ' ] || failed "files: $files"
[ "$(field $run/metrics.jsonl step | tr '\n' ' ')" = '0 1 2 3 4 5 ' ] || failed 'steps are not 0 to 5'
check_fields "$(sed -n 1p $run/metrics.jsonl)" step held_out_loss seconds parameters_hash
while read -r line; do
    check_fields "$line" step loss learning_rate gradient_norm clip_factor seconds \
        tokens_per_second exchange_bytes exchange_seconds update_seconds overlap parameters_hash
done < <(tail -n +2 $run/metrics.jsonl)
evaluated=$(grep held_out_loss $run/metrics.jsonl | field /dev/stdin step | tr '\n' ' ')
[ "$evaluated" = '0 2 4 5 ' ] || failed "held-out loss after steps $evaluated"
grep -q 'average\|clipped\|roots_failed' $run/metrics.jsonl $run/summary.json &&
    failed 'numbers of what was not asked for'
grep -q accuracy $run/metrics.jsonl && failed 'a language model has no accuracy'
[ "$(field $run/metrics.jsonl parameters_hash | sort -u | wc -l)" -eq 6 ] || failed 'hashes repeat'
[ "$(field $run/metrics.jsonl parameters_hash | grep -cx '"[0-9a-f]\{32\}"')" -eq 6 ] ||
    failed 'not 32 hexadecimal digits'
check_fields "$(tr -d '\n ' <$run/config.json)" version options groups machine parameters \
    learning-rate blas_kernel cpu ranks
check_fields "$(tr -d '\n ' <$run/summary.json)" status reason held_out_loss_untrained \
    held_out_loss held_out_loss_last_evaluated held_out_step loss_first loss_last seconds tokens_per_second model_flops_per_second \
    phase_seconds first_leg_ratio bytes sample parameters_hash
[ "$(field $run/summary.json status)" = '"completed"' ] || failed 'not completed'
[ "$(field $run/summary.json held_out_step)" = 5 ] || failed 'not evaluated after the last step'
[ "$(field $run/summary.json held_out_loss)" = \
    "$(field $run/metrics.jsonl held_out_loss | tail -n 1)" ] || failed 'not the last held-out loss'
grep -q ' at step 5 ' out || failed 'the table does not tell when the loss was evaluated'
grep -q '"sample": ".' $run/summary.json || failed 'no text was generated'
for word in 'held-out loss' speed exchange 'parameters hash' 'first leg' sample; do
    grep -q "$word" out || failed "the table on standard output lacks $word"
done
grep -qv '^plumb: warning' err && failed 'progress without a terminal'

# The next run has the next name; --json prints the summary; progress can be asked for.
ranks 2 "${tiny_gpt[@]}" --data text --json --progress always
expect_code 0 'second run'
cmp -s out runs/gpt-muon-2/summary.json || failed '--json does not print the summary'
grep -q 'step 5/5  loss [0-9.]*  held-out [0-9.]*  [0-9]* tokens/s' err || failed 'no progress'

# What only some optimizers and corrections count.
ranks 2 "${tiny_gpt[@]}" --data text --optimizer sophia --correction moment --run sophia
expect_code 0 sophia
check_fields "$(sed -n 2p sophia/metrics.jsonl)" unclipped correction_clipped
check_fields "$(tr -d '\n ' <sophia/summary.json)" unclipped correction_clipped curvature
grep -q '^unclipped ' out || failed 'the table does not tell what share was not clipped'
grep -q '^correction  *moment' out || failed 'the table does not tell the correction'
ranks 2 "${tiny_gpt[@]}" --data text --optimizer soap --run soap
expect_code 0 soap
check_fields "$(sed -n 2p soap/metrics.jsonl)" roots_failed
check_fields "$(tr -d '\n ' <soap/summary.json)" roots_failed
[ "$(field soap/summary.json roots_failed)" = 0 ] || failed 'roots failed'
ranks 2 "${tiny_gpt[@]}" --data text --optimizer adamw --correction paper-full --run published
expect_code 0 published
[ "$(grep -c '^plumb: warning: --correction paper-full .*changes the target' err)" -eq 1 ] ||
    failed 'no warning, or more than one, of a published mode'

# Muon has no correction called moment, AdamW beside it has; SOAP and AdamW both have it.
ranks 2 "${tiny_gpt[@]}" --data text --correction moment --run aside
[ "$(tr -d '\n ' <aside/config.json | grep -o '"optimizer":"muon","correction":"none"' | wc -l)" \
    -eq 6 ] || failed 'the correction is not on what AdamW updates alone'
[ "$(tr -d '\n ' <aside/config.json | grep -o '"optimizer":"adamw","correction":"moment"' | wc -l)" \
    -eq 9 ] || failed 'AdamW beside muon has no correction'
ranks 2 "${tiny_gpt[@]}" --data text --optimizer soap --correction moment --run both
[ "$(tr -d '\n ' <both/config.json | grep -o '","correction":"moment"' | wc -l)" -eq 15 ] ||
    failed 'SOAP and AdamW do not share the correction'

# Run to run the same, to the bit.
for name in loss held_out_loss learning_rate gradient_norm parameters_hash; do
    [ "$(field runs/gpt-muon-1/metrics.jsonl $name)" = \
        "$(field runs/gpt-muon-2/metrics.jsonl $name)" ] || failed "$name differs from run to run"
done

ranks 2 "${tiny_mlp[@]}" --data images --run deep/er/run --schedule constant --clip-norm 0.01
expect_code 0 'mlp'
check_fields "$(tr -d '\n ' <deep/er/run/summary.json)" held_out_accuracy \
    held_out_accuracy_untrained held_out_accuracy_last_evaluated
check_fields "$(sed -n 1p deep/er/run/metrics.jsonl)" held_out_loss held_out_accuracy
[ "$(field deep/er/run/metrics.jsonl clip_factor | head -n 1)" != 1.0 ] || failed 'nothing was clipped'
[ "$(field deep/er/run/metrics.jsonl learning_rate | sort -u | wc -l)" -eq 1 ] ||
    failed 'a constant rate changes'
finish
