#!/usr/bin/env bash
# Every optimizer with every correction that it has trains, and has the same bits on one rank as on
# others, in either owner map: the program's way into all of them.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
make_images images
gpt=("${tiny_gpt[@]}" --data text --steps 3 --micro-batches 8)
mlp=("${tiny_mlp[@]}" --data images --steps 3 --micro-batches 8)
counts=(2 3 4 5 6 8)
next=0

# row MODEL OPTIMIZER CORRECTION ARGUMENT...: on one rank, then on another count in either map.
row() {
    local -n base=$1
    local name=$1-$2-$3 count owners
    local arguments=("${base[@]}" --optimizer "$2" --correction "$3" "${@:4}")
    ranks 1 "${arguments[@]}" --run "$name"
    expect_code 0 "$name on 1 rank"
    count=${counts[next % ${#counts[@]}]}
    owners=$([ $((next / ${#counts[@]} % 2)) -eq 0 ] && echo sharded || echo rank0)
    next=$((next + 1))
    ranks "$count" "${arguments[@]}" --owners "$owners" --run "$name-many"
    expect_code 0 "$name on $count ranks, $owners"
    if [ ! -e "$name" ] || [ ! -e "$name-many" ]; then
        return
    fi
    same "$name" "$name-many"
    [ "$(field "$name/metrics.jsonl" parameters_hash | sort -u | wc -l)" -eq 4 ] ||
        failed "$name: a step changed nothing"
    hashes+=("$(field "$name/metrics.jsonl" parameters_hash | tail -n 1) $1 $2 $3")
    rm -r "$name" "$name-many"
}
hashes=()

for optimizer in adamw soap; do
    for correction in none moment loo paper-cf paper-inv paper-full paper-pre-ema paper-loo \
        paper-loo-jensen paper-sym; do
        row gpt $optimizer $correction
    done
    row mlp $optimizer jackknife --noise-floor 1 --folds 4
done
for correction in none moment loo jackknife paper-cf paper-inv paper-full paper-pre-ema; do
    row gpt sophia $correction --curvature-interval 2
done
for correction in none second-order wishart paper-diagonal; do
    row gpt shampoo $correction --root-interval 2
done
for correction in jackknife half-sample; do
    row mlp shampoo $correction --noise-floor 1
done
row gpt muon moment # of what AdamW updates
row gpt muon second-order --polar svd
row mlp muon jackknife --noise-floor 1
row mlp sophia none --curvature hutchinson --probes 3

# No correction is another by a wrong name: all ends differ. Only Sophia's denominator, which is
# linear in the curvature, has the same variance before and after the moving average.
twins=$(printf '%s\n' "${hashes[@]}" | grep -v 'sophia paper-pre-ema' | sort | uniq -D -w 34)
[ -z "$twins" ] || failed "other corrections gave the same parameters: $twins"
finish
