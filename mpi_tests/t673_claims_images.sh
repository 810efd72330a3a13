#!/usr/bin/env bash
# plumb claims hessian --images: on real images, the same numbers for every number of ranks, equal
# traces of Hessian and Fisher matrix, leading directions that noise and curvature share; and wrong
# input.
# ranks: serial
# seconds: 300
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"
images=/usr/share/datasets/fashion-mnist
[ -d "$images" ] || {
    echo "SKIPPED: no data set in $images" >&2
    exit 77
}

for count in 1 2; do
    ranks $count claims hessian --images "$images" --quick --json
    expect_code 0 "images on $count ranks"
    cp "$work/out" "$work/images.$count"
done
cmp -s "$work/images.1" "$work/images.2" || failed '1 and 2 ranks measure other numbers'
ranks 2 claims hessian --quick --json
grep -q 'on images' "$work/out" && failed 'drawn data are said to be images'
cmp -s <(grep measured "$work/out") <(grep measured "$work/images.1") &&
    failed 'images have the numbers of drawn data'

# within QUANTITY LOW HIGH: all measured values whose quantity begins so.
within() {
    awk -v begin="\"quantity\": \"$1" -v low="$2" -v high="$3" '
        index($0, begin) { here = 1; count++ }
        here && /"measured": / {
            value = $0; sub(/.*: /, "", value); sub(/,$/, "", value)
            good += value > low && value < high; here = 0
        }
        END { exit !(count == 4 && good == 4) }' "$work/images.1" ||
        failed "$1 is not between $2 and $3 four times"
}
within 'tr(F)/tr(H)' 0.93 1.07
within 'overlap of 9 leading directions' 0.3 1
within 'tr(Sigma)/tr(H)' 0.1 1.5

# A usage error where the claim is not among those measured; a data error without enough images.
wrong 2 'belongs to plumb claims hessian' 2 claims echo --images "$images"
wrong 2 'belongs to plumb claims hessian' 1 claims correction --images "$images"
wrong 3 'No such file' 2 claims hessian --images "$work/none"
make_images "$work/few"
wrong 3 '1000 images needed, 96 found' 2 claims hessian --images "$work/few"
finish
