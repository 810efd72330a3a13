#!/usr/bin/env bash
# Saved parameters and runs that start from them, averages of parameters, and noise in the text:
# the numbers they must agree with, on any number of ranks, and what is refused.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
make_images images
gpt=("${tiny_gpt[@]}" --data text)

last() {
    field "$1/metrics.jsonl" "$2" | tail -n 1
}

# A run that starts from another one's end starts with its parameters and its held-out loss.
ranks 2 "${gpt[@]}" --run first
expect_code 0 first
[ ! -e first/parameters.new ] || failed 'an unfinished folder was left behind'
[ "$(head -c 8 first/parameters/head.npy | od -An -c | tr -d ' ')" = '223NUMPY001\0' ] ||
    failed 'not a NumPy file'
header=$(head -c 128 first/parameters/layer0.mlp.expand.npy | tail -c +11)
[ "$header" = "$(printf "%-117s" "{'descr': '<f4', 'fortran_order': False, 'shape': (64, 16), }")" ] ||
    failed "the header is $header"
[ "$(stat -c %s first/parameters/layer0.mlp.expand.npy)" -eq $((128 + 4 * 16 * 64)) ] ||
    failed 'not 64 x 16 floats behind the header'
for count in 1 3; do
    ranks $count "${gpt[@]}" --initial-parameters first/ --seed 5 --run "second-$count"
    expect_code 0 "second on $count ranks"
    grep -q 'warning: .*values differ' err && failed 'not every rank got the parameters'
    for name in parameters_hash held_out_loss; do
        [ "$(last first $name)" = "$(field "second-$count/metrics.jsonl" $name | head -n 1)" ] ||
            failed "$name at the start is not that of the first run's end"
    done
done
same second-1 second-3
grep -q 'at the start' out || failed 'the table calls a trained model untrained'
ranks 2 "${tiny_mlp[@]}" --data images --run images-first
ranks 2 "${tiny_mlp[@]}" --data images --run images-second --initial-parameters images-first
expect_code 0 'images'
[ "$(last images-first parameters_hash)" = \
    "$(field images-second/metrics.jsonl parameters_hash | head -n 1)" ] || failed 'other parameters'

ranks 2 "${gpt[@]}" --run unsaved --save-parameters no
expect_code 0 unsaved
[ ! -e unsaved/parameters ] || failed 'parameters were saved without being asked for'

# refused CODE PATTERN [ARGUMENT...]: starting from the folder `other`.
refused() {
    wrong "$1" "$2" 2 "${gpt[@]}" --run refused --initial-parameters other "${@:3}"
    [ ! -e refused ] || failed "a run directory was left behind: $2"
}
spoilt() {
    rm -rf other
    cp -r first other
}
refused 3 'no saved parameters: other/parameters: No such file'
mkdir other
refused 3 'no saved parameters: other/parameters: No such file'
spoilt
rm other/parameters/head.npy
refused 3 'other/parameters/head.npy: No such file'
rm -r other/parameters && : >other/parameters
refused 3 'other/parameters'
spoilt
refused 3 'other/parameters/token_embedding.npy is 256 x 16, expected 256 x 32' --width 32
refused 3 'other/parameters/layer1.* No such file' --layers 2
refused 3 'other/parameters/.*: No such file' --model mlp --data images
cp other/parameters/layer0.mlp.expand.npy other/parameters/layer7.mlp.expand.npy
refused 3 'layer7.mlp.expand.npy is no parameter of this model'
spoilt
head -c 1000 first/parameters/layer0.mlp.expand.npy >other/parameters/layer0.mlp.expand.npy
refused 3 'other/parameters/layer0.mlp.expand.npy is truncated: 218 of 1024 values'
head -c 100 first/parameters/layer0.mlp.expand.npy >other/parameters/layer0.mlp.expand.npy
refused 3 'layer0.mlp.expand.npy is truncated: it ends in its header'
: >other/parameters/layer0.mlp.expand.npy
refused 3 'layer0.mlp.expand.npy is not a NumPy file'
spoilt
echo >>other/parameters/layer0.mlp.expand.npy
refused 3 'layer0.mlp.expand.npy is longer than its shape'
# rewrite FROM TO: a word of the header, of the same length.
rewrite() {
    spoilt
    LC_ALL=C sed "1s/$1/$2/" first/parameters/layer0.mlp.expand.npy \
        >other/parameters/layer0.mlp.expand.npy
}
rewrite '<f4' '<f8'
refused 3 "layer0.mlp.expand.npy holds '<f8', expected '<f4'"
rewrite "'fortran_order': False" "'fortran_order': True "
refused 3 'layer0.mlp.expand.npy is in Fortran order'
rewrite '(64, 16)' '(16, 64)'
refused 3 'layer0.mlp.expand.npy is 16 x 64, expected 64 x 16'
rewrite '(64, 16)' '(4,4,64)'
refused 3 'layer0.mlp.expand.npy does not hold a matrix'
spoilt
rm other/parameters/head.npy && mkfifo other/parameters/head.npy
refused 3 'head.npy is not a regular file'
spoilt
{
    head -c 140 first/parameters/head.npy
    printf '\000\000\300\177' # NaN
    tail -c +145 first/parameters/head.npy
} >other/parameters/head.npy
refused 4 'head.npy holds NaN or Inf, first in row 0, column 3'

# A disk that takes no parameters: no half of them, and no other file is lost.
if command -v prlimit >/dev/null; then
    PLUMB_PROGRAM=$PLUMB
    # Enough for what MPI needs at its start, not for a matrix of 23 MB.
    printf '#!/bin/sh\nexec prlimit --fsize=20000000 "%s" "$@"\n' "$PLUMB" >limited
    chmod +x limited
    PLUMB=$work/limited
    wrong 3 'cannot write full/.*/layer1.*.npy: File too large' 2 "${tiny_mlp[@]}" --data images \
        --layers 2 --width 2400 --steps 1 --optimizer sgd --run full
    [ ! -e full/parameters ] || failed 'half of the parameters are there'
    [ ! -e full/parameters.new ] || failed 'half of the parameters were left behind'
    [ "$(field full/summary.json status)" = '"failed"' ] || failed 'the summary hides the full disk'
    grep -q '"reason": "cannot write full/' full/summary.json || failed 'the summary has no reason'
    PLUMB=$PLUMB_PROGRAM
fi

# Averages change no bit of the run, and their loss is that of the parameters where both are equal.
for how in ema:0.5 ema:0 tail:1 tail:3; do
    ranks 3 "${gpt[@]}" --average-weights $how --run "average-$how"
    expect_code 0 "$how"
    [ "$(field first/metrics.jsonl parameters_hash)" = \
        "$(field "average-$how/metrics.jsonl" parameters_hash)" ] || failed "$how changes the run"
    [ "$(field first/metrics.jsonl held_out_loss)" = \
        "$(field "average-$how/metrics.jsonl" held_out_loss)" ] || failed "$how changes the loss"
    [ "$(last "average-$how" held_out_loss_average)" = \
        "$(field "average-$how/summary.json" held_out_loss_average)" ] ||
        failed "$how: another loss in the summary"
    grep -q "of averages .* at step 5 ($how)" out || failed "$how: the table lacks the average"
done
for how in ema:0 tail:1; do
    [ "$(last first held_out_loss)" = "$(last "average-$how" held_out_loss_average)" ] ||
        failed "$how is not the last step's loss"
done
[ "$(last average-ema:0.5 held_out_loss_average)" != "$(last first held_out_loss)" ] ||
    failed 'an average of several steps has the loss of the last one'
# The tail of steps 3 to 5 has no loss after step 2.
[ "$(grep held_out_loss_average average-tail:3/metrics.jsonl | field /dev/stdin step | tr '\n' ' ')" \
    = '4 5 ' ] || failed 'the tail begins elsewhere'
ranks 1 "${gpt[@]}" --average-weights tail:3 --run alone
expect_code 0 'tail:3 on one rank'
same alone average-tail:3
ranks 2 "${tiny_mlp[@]}" --data images --average-weights tail:2 --run images-average
expect_code 0 'average of the mlp'
[ "$(field images-average/metrics.jsonl held_out_accuracy_average | wc -l)" -eq 2 ] ||
    failed 'no accuracy of the average'

# Noise is of the training text alone.
ranks 2 "${gpt[@]}" --noise 1 --run noisy
expect_code 0 noisy
[ "$(field noisy/metrics.jsonl held_out_loss | head -n 1)" = \
    "$(field first/metrics.jsonl held_out_loss | head -n 1)" ] || failed 'the held-out text has noise'
[ "$(field noisy/metrics.jsonl loss | head -n 1)" != \
    "$(field first/metrics.jsonl loss | head -n 1)" ] || failed 'the training text has no noise'
finish
