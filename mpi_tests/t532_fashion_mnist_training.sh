#!/usr/bin/env bash
# A short training on the real Fashion-MNIST files, where they are installed: all 10000 test images
# are evaluated, and four of five are right.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
if [ ! -r /usr/share/datasets/fashion-mnist ]; then
    echo 'there is no /usr/share/datasets/fashion-mnist'
    exit 77
fi

ranks 2 train --model mlp --layers 1 --width 64 --steps 300 --micro-batches 4 \
    --micro-batch-size 32 --learning-rate 0.005 --evaluate-every 0 --run run
expect_code 0 'training'
# 20 blocks of 500 images
[ "$(field run/config.json held_out_units)" = 20 ] || failed 'not 10000 test images'
[ "$(field run/summary.json held_out_step)" = 300 ] || failed 'not evaluated at the end'
accuracy=$(field run/summary.json held_out_accuracy)
untrained=$(field run/summary.json held_out_accuracy_untrained)
awk "BEGIN { exit !($untrained < 0.3) }" || failed "untrained accuracy $untrained"
awk "BEGIN { exit !($accuracy >= 0.8) }" || failed "accuracy $accuracy, expected 0.8 or more"
finish
