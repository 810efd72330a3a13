#!/usr/bin/env bash
# plumb replay against other implementations: every recorded case to 2e-5 relative, at 1, 2 and 4
# ranks and in both owner maps, bit for bit the same among these. And what the file of
# gradients may look like: one step without the first dimension, doubles, compressed, samples.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" replay --help >/dev/null || exit 77 # WITH_HDF5=0
command -v h5diff >/dev/null || {
    echo 'skipped: h5diff (package hdf5-tools) is not installed'
    exit 77
}
root=$(cd "$(dirname "$0")/.." && pwd)
vectors=$root/mpi_tests/data/optimizer_trajectories.json
convert=$root/scripts/json-to-gradients
fixture=${BUILD:-$root/build}/tools/gradient_fixture
cd "$work" || exit 1

hashes() {
    grep -Eo '[0-9a-f]{32}$' "$work/out"
}

# everywhere NAME RANKS ARGUMENT...: replays at several rank counts in both maps into NAME.h5;
# values and hashes must be equal to the bit.
everywhere() {
    local name=$1 counts=$2 count map first=''
    shift 2
    [ -z "$sanitized" ] || counts=2
    for count in $counts; do
        for map in sharded rank0; do
            rm -f again.h5
            ranks "$count" replay "$@" --owners $map --out again.h5
            expect_code 0 "$name at $count ranks, $map"
            [ -s again.h5 ] || continue
            [ ! -e again.h5.partial ] || failed "$name: the partial file was left behind"
            if [ -z "$first" ]; then
                first=$(hashes)
                mv again.h5 "$name.h5"
                continue
            fi
            [ "$(hashes)" = "$first" ] || failed "$name: other bits at $count ranks, $map"
            h5diff -q "$name.h5" again.h5 /parameters ||
                failed "$name: other values at $count ranks, $map"
        done
    done
    [ "$(wc -l <<<"$first")" -gt 1 ] || failed "$name: no hash a step"
}

# against CASE OPTIMIZER CORRECTION
against() {
    local name=$1 options
    read -ra options <<<"$("$convert" --list "$vectors" | sed -n "s/^$name //p")"
    [ ${#options[@]} -gt 0 ] || failed "no case $name"
    "$convert" --case "$name" "$vectors" "$name.expected.h5" || failed "no values of $name"
    everywhere "$name" '1 2 4' gradients.h5 --optimizer "$2" --correction "$3" "${options[@]}"
    h5diff -p 2e-5 "$name.expected.h5" "$name.h5" /parameters/weight/values >difference 2>&1 ||
        failed "$name is not what was recorded: $(tail -n 1 difference)"
}

"$convert" "$vectors" gradients.h5 || failed 'the vectors could not be converted'
against adamw adamw none
against adamw_paper_cf_post_ema adamw paper-cf
against adamw_paper_inv_post_ema adamw paper-inv
against adamw_paper_full_post_ema adamw paper-full
against adamw_paper_full_pre_ema_as_published adamw paper-pre-ema
against adamw_paper_loo adamw paper-loo
against adamw_paper_loo_jensen adamw paper-loo-jensen
against sophia_paper_std sophia none
against sophia_paper_full sophia paper-full
against shampoo_paper_std shampoo none
against shampoo_paper_full shampoo paper-diagonal

# The comparison can fail: another rate is another trajectory.
ranks 1 replay gradients.h5 --optimizer adamw --learning-rate 0.0101 --out other.h5
h5diff -q -p 2e-5 adamw.expected.h5 other.h5 /parameters/weight/values 2>/dev/null &&
    failed 'h5diff takes another trajectory for the recorded one'

# A matrix and a vector under Muon, SGD and a group count, in an uneven share.
"$fixture" good good.h5
everywhere muon '1 3' good.h5 --optimizer muon
everywhere sgd '1 3' good.h5 --optimizer sgd --groups 2 --clip-norm 0.5
everywhere moment '1 3' good.h5 --optimizer adamw --correction moment --groups 4


# Curvature: of a matrix and a vector, in steps 0 and 2, with and without statistics of its groups.
"$fixture" curvature curvature.h5
everywhere sophia '1 3' curvature.h5 --optimizer sophia --curvature-interval 2
everywhere sophia-moment '1 3' curvature.h5 --optimizer sophia --correction moment --groups 4
everywhere shampoo '1 3' good.h5 --optimizer shampoo --correction wishart
everywhere soap '1 3' good.h5 --optimizer soap --correction loo --groups 4 --folds 2
h5diff -q sophia.h5 sophia-moment.h5 /parameters && failed 'the interval changes nothing'
# Whoever does not need it ignores it.
rm -f again.h5
ranks 2 replay curvature.h5 --optimizer muon --out again.h5
expect_code 0 'curvature that nobody needs'
h5diff -q muon.h5 again.h5 /parameters || failed 'curvature that nobody needs changes values'

# The same numbers in other forms give the same values.
for kind in doubles big-endian compressed same-samples; do
    "$fixture" "$kind" "$kind.h5"
    rm -f again.h5
    ranks 2 replay "$kind.h5" --optimizer muon --out again.h5
    expect_code 0 "$kind"
    h5diff -q muon.h5 again.h5 /parameters || failed "$kind: other values than the good file"
done

# Samples weigh: the mean, and so the trajectory, is another one.
"$fixture" samples samples.h5
everywhere weighted '1 3' samples.h5 --optimizer sgd --groups 2 --clip-norm 0.5
h5diff -q sgd.h5 weighted.h5 /parameters && failed 'samples do not weigh'

# Values that need a curvature: without the first dimension too.
"$fixture" one-step-curvature one-step-curvature.h5
rm -f again.h5
ranks 2 replay one-step-curvature.h5 --optimizer sophia --json --out again.h5
expect_code 0 one-step-curvature
grep -q '"unclipped": ' out || failed 'the JSON does not tell what share was not clipped'

# What a published mode does differently is said once.
rm -f again.h5
ranks 2 replay good.h5 --optimizer adamw --correction paper-cf --out again.h5
expect_code 0 'a published mode'
[ "$(grep -c '^plumb: warning: --correction paper-cf .*changes the target' err)" -eq 1 ] ||
    failed 'no warning, or more than one, of a published mode'
rm -f again.h5
ranks 2 replay good.h5 --optimizer adamw --correction moment --out again.h5
grep -q 'warning: --correction' err && failed 'a warning of a correction of ours'

# One step without the first dimension; JSON for machines.
"$fixture" one-step one-step.h5
rm -f again.h5
ranks 2 replay one-step.h5 --optimizer adamw --json --out again.h5
expect_code 0 one-step
[ "$(field out step | tr '\n' ' ')" = '0 1 ' ] || failed 'not one step in the JSON'
[ "$(grep -c '"parameters_hash"' out)" -eq 2 ] || failed 'no hashes in the JSON'
[ "$(grep -c '"optimizer": "adamw"' out)" -eq 3 ] || failed 'no parameters in the JSON'
h5dump -A again.h5 | grep -q 'optimizer.*adamw' || failed 'the options are not in the file'
finish
