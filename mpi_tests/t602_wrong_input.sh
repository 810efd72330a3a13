#!/usr/bin/env bash
# Wrong input: one clear line from rank 0, the same exit code on all ranks, no hang, no run
# directory left behind and none touched.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1

make_text text 4000
: >empty
head -c 20 text >short
make_images images
gpt=("${tiny_gpt[@]}" --data text)

# Data.
wrong 3 'missing.txt: No such file' 2 "${gpt[@]}" --data missing.txt
wrong 3 'empty' 2 "${gpt[@]}" --data empty
wrong 3 'short' 2 "${gpt[@]}" --data short
wrong 3 '' 2 "${gpt[@]}" --data .
# These never begin or never end.
mkfifo pipe
wrong 3 'pipe: not a regular file' 2 "${gpt[@]}" --data pipe
wrong 3 '/dev/zero: not a regular file' 2 "${gpt[@]}" --data /dev/zero
cp -r images broken
rm broken/t10k-images-idx3-ubyte && mkfifo broken/t10k-images-idx3-ubyte
wrong 3 't10k-images-idx3-ubyte: not a regular file' 2 "${tiny_mlp[@]}" --data broken
rm -r broken
wrong 3 'images' 2 "${tiny_mlp[@]}" --data nowhere
for file in train-images-idx3-ubyte t10k-labels-idx1-ubyte; do
    cp -r images broken
    head -c 30 "images/$file" >"broken/$file"
    wrong 3 "$file" 2 "${tiny_mlp[@]}" --data broken
    rm -r broken
done
cp -r images broken
printf 'no IDX file at all, but long enough' >broken/train-images-idx3-ubyte
wrong 3 'train-images-idx3-ubyte' 2 "${tiny_mlp[@]}" --data broken

# Options, under a launcher.
wrong 2 'unknown option --stepps; did you mean --steps?' 2 "${gpt[@]}" --stepps 3
wrong 2 "--steps '5x' is not a whole number" 2 "${gpt[@]}" --steps 5x
wrong 2 '--steps 0 is out of range' 2 "${gpt[@]}" --steps 0
wrong 2 '--steps 2G is out of range' 2 "${gpt[@]}" --steps 2G
wrong 2 '--width 18 is not divisible by --heads 4' 2 "${gpt[@]}" --width 18 --heads 4
wrong 2 '--micro-batches 2 is less than the 3 ranks' 3 "${gpt[@]}" --micro-batches 2
wrong 2 '--groups 3 does not divide --micro-batches 4' 2 "${gpt[@]}" --groups 3
for name in learning-rate adamw-learning-rate; do
    wrong 2 "--$name 0 is out of range: above 0, to 1000000" 2 "${gpt[@]}" --$name 0
    wrong 2 "--$name -1 is out of range: above 0, to 1000000" 2 "${gpt[@]}" --$name -1
    wrong 2 "--$name 1e7 is out of range: above 0, to 1000000" 2 "${gpt[@]}" --$name 1e7
done
wrong 2 '--warm-up 6 is more than --steps 5' 2 "${gpt[@]}" --warm-up 6
wrong 2 'allreduce' 2 "${gpt[@]}" --exchange allreduce --pipeline double-orthogonalise
wrong 2 'unknown command' 2 trian

# Corrections and curvature.
adamw=("${gpt[@]}" --optimizer adamw)
wrong 2 '--correction wishart: neither muon nor adamw, which updates what muon leaves' 2 \
    "${gpt[@]}" --correction wishart
wrong 2 '--correction second-order: adamw does not have it' 2 "${adamw[@]}" \
    --correction second-order
wrong 2 '--noise-floor needs --correction' 2 "${gpt[@]}" --noise-floor 1
wrong 2 '--folds 3 does not divide the 4 --groups' 2 "${adamw[@]}" --correction loo --folds 3
wrong 2 'needs 2 groups or more; there is 1' 2 "${adamw[@]}" --correction moment --groups 1
wrong 2 'needs 2 groups or more; there is 1' 2 "${gpt[@]}" --optimizer sophia \
    --correction moment --groups 1
wrong 2 'needs 2 groups or more; there is 1' 2 "${gpt[@]}" --optimizer shampoo \
    --correction second-order --groups 1
wrong 2 'noise_floor' 2 "${adamw[@]}" --correction jackknife
wrong 2 '--curvature hutchinson needs --model mlp' 2 "${gpt[@]}" --optimizer sophia \
    --curvature hutchinson
# Options that only another optimizer, or another model, reads.
for unused in 'rho 1' 'clip 2' 'curvature-interval 5' 'grafting sgd' 'exponent 0.5' 'damping 1e-6' \
    'relative-damping 0' 'bias-correction no' 'root-interval 5' 'root-failures 1' 'block-size 64'; do
    # shellcheck disable=SC2086 # a name and a value
    wrong 2 "--${unused% *}: --optimizer adamw does not use it" 1 "${adamw[@]}" --$unused
done
wrong 2 '--exponent: --optimizer soap does not use it' 2 "${gpt[@]}" --optimizer soap --exponent 0.5
wrong 2 '--curvature is of sophia' 2 "${adamw[@]}" --curvature gauss-newton
wrong 2 '--probes needs --curvature hutchinson' 2 "${gpt[@]}" --optimizer sophia --probes 2
wrong 2 '--generate is of text' 2 "${tiny_mlp[@]}" --data images --generate 9
wrong 2 "--initial-parameters '' is not a run" 2 "${gpt[@]}" --initial-parameters ''
wrong 2 "--curvature 'fisher' is none of gauss-newton, hutchinson" 2 "${gpt[@]}" --curvature fisher
wrong 2 '--probes 0 is out of range' 2 "${tiny_mlp[@]}" --data images --probes 0
wrong 2 '--noise is of text' 2 "${tiny_mlp[@]}" --data images --noise 0.2
wrong 2 '--noise 1.5 is out of range' 2 "${gpt[@]}" --noise 1.5

# Averages.
wrong 2 '--average-weights ema:1.5: BETA must be a number from 0, below 1' 2 "${gpt[@]}" \
    --average-weights ema:1.5
for beta in 1 -0.1 x '' nan 0.5x; do
    wrong 2 "--average-weights ema:$beta: BETA" 2 "${gpt[@]}" --average-weights "ema:$beta"
done
for steps in 0 -1 6 x '' 2.5; do
    wrong 2 "--average-weights tail:$steps: N must be a whole number from 1 to the 5 --steps" 2 \
        "${gpt[@]}" --average-weights "tail:$steps"
done
wrong 2 "--average-weights 'swa' is none of none, ema:BETA, tail:N" 2 "${gpt[@]}" \
    --average-weights swa

[ ! -e runs ] || failed 'wrong input left a run directory behind'

# A run directory that exists is not touched.
mkdir mine
echo precious >mine/metrics.jsonl
wrong 3 'mine exists' 2 "${gpt[@]}" --run mine
[ "$(cat mine/metrics.jsonl)" = precious ] || failed 'the run directory was touched'
[ "$(ls mine)" = metrics.jsonl ] || failed 'files were added to the run directory'
echo precious >file
wrong 3 'file/ exists' 2 "${gpt[@]}" --run file/
wrong 3 'file/run' 2 "${gpt[@]}" --run file/run

# Every rank takes its own arguments: that mpirun gives several commands to one job does not work
# everywhere (5.0.7 of Debian 13 dies of it).
# shellcheck disable=SC2016 # expanded on the ranks
own_arguments='[ "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" = 0 ] && list=first || list=others
eval "set -- $(cat "$WORK/$list")"
'

# different PATTERN ARGUMENTS-OF-OTHER-RANKS...: rank 0 is started with ${gpt[@]}.
different() {
    local pattern=$1
    shift
    forget
    printf '%q ' "$PLUMB" "${gpt[@]}" >first
    printf '%q ' "$PLUMB" "$@" >others
    WORK=$work timeout --kill-after=5 120 "$MPIRUN" -np 3 bash -c "$own_arguments$rank_script" \
        >out 2>err </dev/null || failed "mpirun failed: $*"
    wanted_ranks=3
    expect_code 2 "different options: $*"
    expect_line "$pattern"
}
different 'rank 1.*--steps' "${gpt[@]}" --steps 6
different 'rank 1.*--beta2' "${gpt[@]}" --beta2 0.9
different 'rank 1.*command' info
different 'unknown option --stepps' "${gpt[@]}" --stepps 6
[ ! -e runs ] || failed 'different options left a run directory behind'
finish
