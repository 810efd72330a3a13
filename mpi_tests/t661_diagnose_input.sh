#!/usr/bin/env bash
# What plumb diagnose refuses, and what is not available: one clear line from rank 0 and the same
# exit code on all ranks, or null with a reason; no hang, no number that was not measured.
# ranks: serial
# seconds: 300
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" diagnose --help >/dev/null || exit 77 # WITH_HDF5=0
root=$(cd "$(dirname "$0")/.." && pwd)
tools=${BUILD:-$root/build}/tools
cd "$work" || exit 1

# Files, as plumb replay refuses them.
"$tools/gradient_fixture" good good.h5 || failed 'no fixture good'
refused() {
    "$tools/gradient_fixture" "$3" "$3.h5" || failed "no fixture $3"
    wrong "$1" "$2" 2 diagnose "$3.h5"
}
wrong 3 'nowhere.h5: No such file' 2 diagnose nowhere.h5
echo 'no HDF5 file at all' >text.h5
wrong 3 'text.h5 is not an HDF5 file' 2 diagnose text.h5
head -c $(($(stat -c %s good.h5) - 100)) good.h5 >short.h5
wrong 3 'short.h5: truncated file' 2 diagnose short.h5
mkdir folder
wrong 3 'folder is not a file' 1 diagnose folder
refused 3 'no-parameters.h5 has no group /parameters' no-parameters
refused 3 '/parameters/vector has no dataset gradients' no-gradients
refused 3 '/parameters/vector/gradients does not hold floating-point numbers' integers
refused 3 '0 samples in micro-batch 3, expected a positive number' zero-samples
refused 4 'nan.h5, step 2: the gradient of vector in micro-batch 4 .* row 0, column 0' nan
refused 4 'overflow.h5, step 2: the gradient of vector in micro-batch 4' overflow
wrong 4 'nan.h5, step 2: the gradient of vector in micro-batch 4' 2 diagnose nan.h5 --groups 2 \
    --memory 1
ranks 2 diagnose nan.h5 --last-step 1
expect_code 0 'the step before the NaN'
ranks 2 diagnose nan.h5 --parameters layer.weight
expect_code 0 'the parameter without the NaN'

# alone CODE PATTERN ARGUMENT...: without a launcher, which is quicker.
alone() {
    "$PLUMB" diagnose "${@:3}" >out 2>err </dev/null
    local code=$?
    [ $code -eq "$1" ] || failed "code $code, expected $1: $*"
    expect_line "$2"
}

# Options.
alone 2 'no file of gradients'
alone 2 "unexpected argument 'other.h5'" good.h5 other.h5
alone 2 'unknown option --group' good.h5 --group 3
wrong 2 '--groups 3 does not divide the 8 micro-batches' 3 diagnose good.h5 --groups 3
alone 2 '--groups 1 has no spread' good.h5 --groups 1
alone 2 '--folds 3 is no divisor' good.h5 --folds 3
alone 2 "has no parameter 'weight'" good.h5 --parameters vector,weight
alone 2 "has no parameter ''" good.h5 --parameters vector,
alone 2 '--last-step 4: good.h5 has 3 steps' good.h5 --last-step 4
alone 2 '--first-step 9: good.h5 has 3 steps' good.h5 --first-step 9
alone 2 '--last-step is before' good.h5 --first-step 3 --last-step 2
alone 2 '--population 7 is less than the 8 samples' good.h5 --population 7
alone 2 '--theta 0 is out of range' good.h5 --theta 0

# answers KIND: a finite answer, and no NaN or Inf spelled out.
answers() {
    "$tools/noise_fixture" "$1" "$1.h5" >/dev/null || failed "no fixture $1"
    "$PLUMB" diagnose "$1.h5" --layers >out 2>err || failed "$1: another code than 0"
    [ ! -s err ] || failed "$1: something on standard error"
    grep -Eiq '(^|[^a-z])(nan|inf)([^a-z]|$)' out && failed "$1: NaN or Inf in the table"
    ranks 2 diagnose "$1.h5" --json
    expect_code 0 "$1, JSON"
}
# nulls WHAT NAME...: these fields are null wherever they stand.
nulls() {
    local name
    for name in "${@:2}"; do
        [ "$(field out "$name" | sort -u)" = null ] || failed "$1: $name is not null"
    done
}
reason() {
    grep -q "$2" out || failed "$1: no reason like '$2'"
}

answers single
nulls 'one micro-batch' trace trace_error signal scale plateau norm_test_samples pairwise bias \
    ratio largest_share above_half steps_over_fewest along_update
reason 'one micro-batch' 'one gradient a step has no spread'
grep -q '"limit": "unknown"' out || failed 'advice from one micro-batch'

answers pair
nulls 'two micro-batches' trace_error norm_test_samples bias ratio
reason 'two micro-batches' 'at least four'

answers zero
nulls 'zero gradients' scale plateau norm_test_samples ratio bias largest_share above_half
reason 'zero gradients' 'the gradients are zero'
reason 'zero gradients' 'All gradients are zero: there is nothing to measure'

answers constant
[ "$(field out trace | sort -u)" = 0.0 ] || failed 'constant gradients have noise'
[ "$(field out plateau | sort -u)" = 1.0 ] || failed 'constant gradients are not the gradient'
nulls 'constant gradients' ratio streamed_ratio largest_share strength threshold
reason 'constant gradients' 'no noise to measure'
reason 'constant gradients' 'Do they have samples of their own'

answers noise
nulls 'noise alone' norm_test_samples normal_share squared_bias
reason 'noise alone' 'noise scale undetermined'

answers column
nulls 'a single column' pairwise bias ratio above_half along_update squared_bias
[ "$(field out scale | head -n 1)" != null ] || failed 'no noise scale of a column'
reason 'a single column' 'a single row or column'

answers prime
[ "$(field out above_half | head -n 1)" != null ] || failed 'no echo of five micro-batches'

# More micro-batches than a Gram matrix is made of by itself: neighbours are merged.
answers many
[ "$(field out groups | tail -n 1)" = 342 ] || failed '1026 micro-batches are not merged to 342'

# More ranks than parameters: some have nothing to do.
ranks 4 diagnose single.h5 --parameters full
expect_code 0 'ranks without a parameter'

# Output that cannot be written.
if [ -e /dev/full ]; then
    "$PLUMB" diagnose good.h5 >/dev/full 2>err
    [ $? -eq 3 ] || failed 'a full disk: another exit code than 3'
fi
finish
