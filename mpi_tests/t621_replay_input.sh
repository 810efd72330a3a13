#!/usr/bin/env bash
# What plumb replay refuses: one clear line from rank 0, the same exit code on all ranks, no hang,
# nothing written and nothing written over.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" replay --help >/dev/null || exit 77 # WITH_HDF5=0
root=$(cd "$(dirname "$0")/.." && pwd)
fixture=${BUILD:-$root/build}/tools/gradient_fixture
cd "$work" || exit 1

"$fixture" good good.h5
replay=(replay good.h5 --optimizer adamw --out values.h5)

# refused CODE PATTERN KIND: a file of that kind.
refused() {
    "$fixture" "$3" "$3.h5" || failed "no fixture $3"
    wrong "$1" "$2" 2 replay "$3.h5" --optimizer adamw --out values.h5
}

# Files of gradients.
wrong 3 'nowhere.h5: No such file' 2 replay nowhere.h5 --out values.h5
wrong 3 '\. is not a file' 2 replay . --out values.h5
echo 'no HDF5 file at all' >text.h5
: >empty.h5
wrong 3 'text.h5 is not an HDF5 file' 2 replay text.h5 --out values.h5
wrong 3 'empty.h5 is not an HDF5 file' 2 replay empty.h5 --out values.h5
head -c $(($(stat -c %s good.h5) - 100)) good.h5 >short.h5
wrong 3 'short.h5: truncated file' 2 replay short.h5 --out values.h5
head -c 200 good.h5 >shorter.h5
wrong 3 'shorter.h5' 2 replay shorter.h5 --out values.h5
refused 3 'no-parameters.h5 has no group /parameters' no-parameters
refused 3 '/parameters holds 0 parameters' empty
refused 3 '/parameters/vector has no dataset gradients' no-gradients
refused 3 '/parameters/vector/gradients has 2 dimensions' two-dimensions
refused 3 '/parameters/vector/gradients has 4 steps of 8.* 3 of 8' other-steps
refused 3 '/parameters/vector/gradients has 3 steps of 6.* 3 of 8' other-micro-batches
refused 3 'has a dimension of length 0' no-steps
refused 3 '/parameters/vector/gradients does not hold floating-point numbers' integers
refused 3 'vector/gradients has an attribute samples of length 7, .* 8 micro-batches' short-samples
refused 3 '0 samples in micro-batch 3, expected a positive number' zero-samples
refused 3 '-2 samples in micro-batch 6, expected a positive number' negative-samples
refused 3 'vector/initial_values is not 1 x 5' initial-shape
refused 4 'initial_values holds NaN or Inf, first in row 0, column 3' initial-nan

# Curvature, which sophia needs.
lacking() {
    "$fixture" "$3" "$3.h5" || failed "no fixture $3"
    wrong "$1" "$2" 2 replay "$3.h5" --optimizer sophia --out values.h5
}
wrong 3 'good.h5: /parameters/layer.weight has no dataset curvature' 2 replay good.h5 \
    --optimizer sophia --out values.h5
lacking 3 '/parameters/vector has no dataset curvature, which the optimizer needs' curvature-missing
lacking 3 'vector/curvature has not the shape of its gradients, 3 steps of 8' curvature-steps
lacking 3 'vector/curvature has not the shape of its gradients, .* of 1 x 5' curvature-rows
lacking 3 'vector/curvature has not the shape of its gradients' curvature-dimensions
lacking 3 'vector/curvature does not hold floating-point numbers' curvature-integers
lacking 4 'curvature-nan.h5, step 2: .*curvature.*vector.*micro-batch 4' curvature-nan
"$fixture" curvature curvature.h5
head -c $(($(stat -c %s curvature.h5) - 100)) curvature.h5 >cut.h5
wrong 3 'cut.h5: truncated file' 2 replay cut.h5 --optimizer sophia --out values.h5

refused 4 'nan.h5, step 2: .*vector.*micro-batch 4' nan
refused 4 'overflow.h5, step 2: .*vector.*micro-batch 4' overflow

# Options.
wrong 2 'no file of gradients' 2 replay --out values.h5
wrong 2 '--out is missing' 2 replay good.h5
wrong 2 "unexpected argument 'other.h5'" 2 replay good.h5 other.h5 --out values.h5
wrong 2 'unknown option --stepps' 2 "${replay[@]}" --stepps 3
wrong 2 "--optimizer 'adam' is none of" 2 replay good.h5 --optimizer adam --out values.h5
wrong 2 "--correction 'all' is none of none, moment, loo" 2 "${replay[@]}" --correction all
wrong 2 '8 micro-batches a step, less than the 9 ranks' 9 "${replay[@]}"
wrong 2 '--groups 3 does not divide the 8 micro-batches' 2 "${replay[@]}" --groups 3
wrong 2 '--correction moment: sgd does not have it' 2 replay good.h5 --optimizer sgd \
    --correction moment --out values.h5
wrong 2 '--correction wishart: adamw does not have it' 2 "${replay[@]}" --correction wishart
wrong 2 '--correction wishart: neither soap nor adamw' 2 replay good.h5 --optimizer soap \
    --correction wishart --out values.h5
wrong 2 '--folds 3 does not divide the 8 groups' 2 "${replay[@]}" --correction loo --folds 3
wrong 2 '--folds needs --correction' 2 "${replay[@]}" --folds 2
wrong 2 '--paper-mixing needs --correction' 2 "${replay[@]}" --paper-mixing 0.5
wrong 2 'exponent is 0.3, must be 0.25 or 0.5' 2 replay good.h5 --optimizer shampoo \
    --exponent 0.3 --out values.h5
wrong 2 '--rho -1 is out of range' 2 "${replay[@]}" --rho -1
wrong 2 "--grafting 'muon' is none of none, adamw, sgd" 2 "${replay[@]}" --grafting muon
wrong 2 'no --correction moment' 2 "${replay[@]}" --correction moment --exchange allreduce
wrong 2 '--noise-floor needs --correction' 2 "${replay[@]}" --noise-floor 1
wrong 2 'out of range: above 0' 2 "${replay[@]}" --learning-rate 0
wrong 2 'group' 2 "${replay[@]}" --correction moment --groups 1
wrong 2 'group' 2 replay curvature.h5 --optimizer sophia --correction moment --groups 1 \
    --out values.h5
"$fixture" samples samples.h5
wrong 2 'samples' 2 replay samples.h5 --optimizer adamw --correction moment --out values.h5
[ ! -e values.h5 ] || failed 'wrong input left a file of values behind'
[ ! -e values.h5.partial ] || failed 'wrong input left a partial file behind'

# Files of values.
echo precious >values.h5
wrong 3 'values.h5 exists' 2 "${replay[@]}"
[ "$(cat values.h5)" = precious ] || failed 'the file of values was written over'
rm values.h5
echo precious >values.h5.partial
wrong 3 'values.h5.partial exists' 2 "${replay[@]}"
[ "$(cat values.h5.partial)" = precious ] || failed 'the partial file was written over'
rm values.h5.partial
wrong 3 'cannot write nowhere/values.h5: No such file or directory' 2 replay good.h5 \
    --out nowhere/values.h5
wrong 3 'cannot write text.h5/values.h5: Not a directory' 2 replay good.h5 --out text.h5/values.h5

# The disk is too small: a limit on the file size stands for it. Enough for what MPI needs at its
# start, not for 32 steps of 1 MiB, so that it is noticed before the first step.
"$fixture" large large.h5
if command -v prlimit >/dev/null; then
    PLUMB_PROGRAM=$PLUMB
    printf '#!/bin/sh\nexec prlimit --fsize=20000000 "%s" "$@"\n' "$PLUMB" >limited
    chmod +x limited
    PLUMB=$work/limited
    wrong 3 'cannot write values.h5: File too large' 2 replay large.h5 --optimizer sgd \
        --out values.h5
    PLUMB=$PLUMB_PROGRAM
    [ ! -s "$work/out" ] || failed 'a full disk was noticed after the first step'
    [ ! -e values.h5 ] || failed 'a full disk left a file of values behind'
    [ ! -e values.h5.partial ] || failed 'a full disk left a partial file behind'
fi

# And the same file goes through without the limit.
ranks 2 replay large.h5 --optimizer sgd --out values.h5
expect_code 0 'the large file'
[ -s values.h5 ] || failed 'no values of the large file'
finish
