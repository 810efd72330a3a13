#!/usr/bin/env bash
# plumb train --record-gradients: a file that replay reads, and from which it makes the very
# parameters that the run ended with; recorded by any number of ranks the same; cut to what was done
# when a run ends early; never over a file that is there; a full disk is found before the first step.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
if "$PLUMB" --help | grep -q '^  replay .*not in this build'; then
    exit 77
fi
for tool in h5dump h5diff; do
    if ! command -v $tool >/dev/null; then
        echo "there is no $tool (package hdf5-tools)"
        exit 77
    fi
done
make_text text 4000
gpt=("${tiny_gpt[@]}" --data text --evaluate-every 0)
# What replay does as well: a constant rate, and weight decay for all or none.
plain=(--optimizer adamw --learning-rate 0.003 --weight-decay 0)

# shape FILE DATASET: its dimensions.
shape() {
    h5dump -H -d "$2" "$1" | sed -n 's/.*SIMPLE { ( \([^)]*\) ).*/\1/p' | head -n 1
}

ranks 2 "${gpt[@]}" "${plain[@]}" --schedule constant --warm-up 0 --record-gradients all.h5 --run all
expect_code 0 record
[ ! -e all.h5.partial ] || failed 'the partial file was left behind'
ranks 1 "${gpt[@]}" "${plain[@]}" --schedule constant --warm-up 0 --run without
same all without
names=$(find all/parameters -name '*.npy' -printf '%f\n' | sed 's/\.npy$//' | sort)
[ "$(wc -l <<<"$names")" -gt 5 ] || failed 'few parameters were saved'
for name in $names; do
    dims=$(shape all.h5 "/parameters/$name/gradients")
    [[ $dims == '5, 4, '* ]] || failed "$name: gradients of $dims"
    h5dump -a "/parameters/$name/gradients/samples" all.h5 | grep -q '(0): 2, 2, 2, 2' ||
        failed "$name: samples are not those of the micro-batches"
done

# Replay at another number of ranks: the values after the last step are the run's parameters.
ranks 3 replay all.h5 "${plain[@]}" --groups 4 --out values.h5
expect_code 0 replay
for name in $names; do
    rows_cols=$(shape values.h5 "/parameters/$name/values" | sed 's/^[0-9]*, //')
    h5dump -d "/parameters/$name/values" -s '4,0,0' -c "1, $rows_cols" -b LE -o values.bin \
        values.h5 >/dev/null
    bytes=$(stat -c %s values.bin)
    [ "$bytes" -gt 0 ] || failed "$name: no values"
    tail -c "$bytes" "all/parameters/$name.npy" | cmp -s - values.bin ||
        failed "$name: replay ends with other values than the run"
done

# One rank, three ranks: the same gradients. Every second step: the same as from all of them.
for count in 1 3; do
    rm -rf again again.h5
    ranks $count "${gpt[@]}" "${plain[@]}" --schedule constant --warm-up 0 \
        --record-gradients again.h5 --run again
    expect_code 0 "$count ranks"
    h5diff all.h5 again.h5 /parameters || failed "recorded by $count ranks: other gradients"
done
ranks 2 "${gpt[@]}" "${plain[@]}" --schedule constant --warm-up 0 --record-gradients second.h5 \
    --record-every 2 --run second
expect_code 0 'every second step'
[[ $(shape second.h5 /parameters/head/gradients) == '3, 4, '* ]] || failed 'not steps 0, 2 and 4'
dims=$(shape second.h5 /parameters/head/gradients | cut -d, -f 2-)
h5dump -d /parameters/head/gradients -s 4,0,0,0 -c "1,$dims" -b LE -o a.bin all.h5 >/dev/null
h5dump -d /parameters/head/gradients -s 2,0,0,0 -c "1,$dims" -b LE -o b.bin second.h5 >/dev/null
cmp -s a.bin b.bin || failed 'the third recorded step is not the fifth of all'

# A run that ends early leaves the steps that it did; one that does none leaves nothing.
PLUMB_TEST_POISON=1:4:2 ranks 2 "${gpt[@]}" "${plain[@]}" --schedule constant --warm-up 0 \
    --record-gradients cut.h5 --run cut
expect_code 4 'NaN in the fourth step'
[[ $(shape cut.h5 /parameters/head/gradients) == '3, 4, '* ]] || failed 'not the three good steps'
ranks 2 replay cut.h5 "${plain[@]}" --groups 4 --out cut-values.h5
expect_code 0 'replay of a run that ended early'
PLUMB_TEST_POISON=0:1:0 ranks 2 "${gpt[@]}" --record-gradients none.h5 --run none
expect_code 4 'NaN in the first step'
[ "$(find . -name 'none.h5*')" = '' ] || failed 'a file without a step was left'
PLUMB_TEST_POISON=0:2:1 ranks 2 "${gpt[@]}" --record-gradients skip.h5 --on-nonfinite skip --run skip
expect_code 0 skip
[[ $(shape skip.h5 /parameters/head/gradients) == '4, 4, '* ]] || failed 'a skipped step is recorded'

# Files that are there, and those that cannot be.
echo precious >there.h5
wrong 3 'there.h5 exists' 2 "${gpt[@]}" --record-gradients there.h5 --run there
[ "$(cat there.h5)" = precious ] || failed 'a file was written over'
[ ! -e there ] || failed 'a run that cannot record leaves a run directory'
echo precious >half.h5.partial
wrong 3 'half.h5.partial exists' 2 "${gpt[@]}" --record-gradients half.h5
wrong 3 'cannot write nowhere/file.h5' 2 "${gpt[@]}" --record-gradients nowhere/file.h5
wrong 3 'cannot write huge.h5: ' 2 "${gpt[@]}" --steps 1G --record-gradients huge.h5
[ "$(find . -name 'huge.h5*')" = '' ] || failed 'a full disk left a file behind'
wrong 2 'exclude each other' 1 "${gpt[@]}" --record-gradients no.h5 --adaptive-batch 4:8
wrong 2 'record-every needs --record-gradients' 1 "${gpt[@]}" --record-every 2
wrong 2 "record-gradients '' is not a file" 1 "${gpt[@]}" --record-gradients ''
finish
