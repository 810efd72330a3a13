#!/usr/bin/env bash
# plumb plan: every phase of the cost model against numbers worked out by hand from made-up constants
# (docs/how-to/plan-a-run.md has the formulas), the groups it chooses, and what it refuses.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1

# near NAME ROW FORMULA: the first row is rank0's, the second sharded's.
near() {
    local found
    found=$(field out "$1" | sed -n "$2p")
    awk -v a="$found" "BEGIN { b = $3; exit !((a - b)^2 <= 1e-16 * b * b) }" ||
        failed "$1 in row $2 is $found, not $3"
}
plan() {
    ranks 1 plan "$@" --json
    expect_code 0 "plan $*"
}

# Every constant with another power of ten.
cat >adamw <<'TEXT'
{"format": "plumb plan constants 1", "optimizer": "adamw", "polar": "fast", "weights": "none",
 "correction": "none", "cores_per_node": 2, "gradient_flops_per_second": 1e9,
 "product_flops_per_second": 1e9, "memory_bytes_per_second": 5e8, "node_bytes_per_second": 1e9,
 "node_latency_seconds": 1e-5, "network_bytes_per_second": 1e8, "network_latency_seconds": 1e-4,
 "element_seconds": 1e-6, "element_seconds_per_group": 0, "product_seconds": 0,
 "product_seconds_per_group": 0, "cube_seconds": 0, "cube_seconds_per_group": 0}
TEXT
sed 's/"adamw"/"muon"/; s/"product_seconds": 0/"product_seconds": 1e-3/' adamw >muon
sed 's/"correction": "none"/"correction": "loo"/' adamw >loo
sed 's/"correction": "none"/"correction": "half-sample"/; s/"muon"/"shampoo"/' muon >half
printf 'hidden 1024 1024 adamw\n' >square
V=4194304 # bytes

# 12 ranks, 5 on each of 3 nodes of 2 cores, K = 20; 49 slices, so 49 messages.
plan --shapes square --optimizer adamw --constants adamw --ranks 12 --ranks-per-node 5 \
    --micro-batches 20 --gradient-seconds 0.1 --overlap 0.25
near nodes 1 3
near groups 1 5
near imbalance 2 '2 * 12 / 20'
near gradient_seconds 2 '2 * 0.1 * 5 / 2'
near first_leg_seconds 1 "0.75 * (4 * $V / 5e8 + $V * 2 / 1e8 + 1e-5 + 1e-4 + 49 / 5 * 1e-5)"
near first_leg_seconds 2 "0.75 * (4 * $V / 1e9 + $V * 2 / 3 / 1e8 + 1e-5 + 1e-4 + 49 / 5 * 1e-5)"
near update_seconds 1 1.048576
near update_seconds 2 '5 * 1.048576 / 49 * 5 / 2'
near second_leg_seconds 1 "4 * $V / 1e9 + $V * 2 / 1e8 + 2e-4 + 3e-5 + 49 / 5 * 1e-5"
near second_leg_seconds 2 "4 * $V / 1e9 + $V * 2 / 3 / 1e8 + 2e-4 + 3e-5 + 49 / 5 * 1e-5"
near agreement_seconds 2 '3 * (2e-4 + 3e-5) + 2048 * 2 / 3 / 1e8 + 2048 * 4 / 1e9'
near exchange_bytes 1 "22 * $V"
near exchange_bytes 2 "22 * $V"
[ "$(field out best | tr '\n' ,)" = 'false,true,' ] || failed "best: $(field out best)"

# Links as options, weak scaling, the gradient from the shapes' own flops.
plan --shapes square --optimizer adamw --constants adamw --ranks 12 --ranks-per-node 5 \
    --micro-batches-per-rank 2 --micro-batch-size 3 --context 7 --network-bandwidth 4 \
    --network-latency 50
gradient='2 * 6 * 1048576 * 21 / 1e9'
near micro_batches 1 24
near gradient_seconds 2 "$gradient * 5 / 2"
near second_leg_seconds 2 "4 * $V / 1e9 + $V * 2 / 3 / 5e8 + 1e-4 + 3e-5 + 49 / 5 * 1e-5"
near efficiency 2 "($gradient + 1.048576) / $(field out seconds | sed -n 2p)"

# Longest processing time first: 5 5 | 4 4 | 3 3 3 on three owners ends at 5 + 3 + 3.
for rows in 3 4 5 3 4 3 5; do echo "job ${rows}00 2 muon"; done >seven
plan --shapes seven --polar fast --constants muon --ranks 3 --cores-per-node 4 --micro-batches 3 \
    --gradient-seconds 1
near update_seconds 1 '2700 * 4 * 1e-3'
near update_seconds 2 '1100 * 4 * 1e-3'

# Row panels of a tall matrix have owners of their own, a wide one has none.
printf 'tall 4096 512 muon\n' >tall
printf 'wide 512 4096 muon\n' >wide
plan --shapes tall --polar fast --constants muon --ranks 4 --cores-per-node 4 --micro-batches 4 \
    --gradient-seconds 1
near update_seconds 2 '4096 * 512 * 512 * 1e-3 / 4'
plan --shapes wide --polar fast --constants muon --ranks 4 --cores-per-node 4 --micro-batches 4 \
    --gradient-seconds 1
near update_seconds 2 '4096 * 512 * 512 * 1e-3'

# Groups: the default; as many as ranks where more would cost; all where the exchange is nothing;
# an even number where halves are wanted.
plan --shapes square --optimizer adamw --constants adamw --ranks 1 --micro-batches 16
near groups 1 8
for case in '1e-3 4' '1e3 16'; do
    read -r seconds groups <<<"$case"
    plan --shapes square --optimizer adamw --correction loo --constants loo --ranks 4 \
        --cores-per-node 4 --micro-batches 16 --gradient-seconds "$seconds"
    near groups 2 "$groups"
done
sed 's/muon/shampoo/' tall >shampoo
plan --shapes shampoo --optimizer shampoo --correction half-sample --constants half --ranks 1 \
    --micro-batches 90 --gradient-seconds 1e6
near groups 2 30

wrong 2 "polar is 'fast'" 1 plan --shapes tall --polar exact --constants muon
wrong 2 "correction is 'none'" 1 plan --shapes square --optimizer adamw --correction loo \
    --constants adamw
sed 's/"cores_per_node": 2/"cores_per_node": 0/' adamw >coreless
wrong 3 'cores_per_node is missing or below 1' 1 plan --shapes square --optimizer adamw \
    --constants coreless
echo 'a 2 3 adamw more' >longer
wrong 3 'line 1: expected' 1 plan --shapes longer --optimizer adamw --constants adamw
[ ! -e /dev/full ] || wrong 3 'cannot write' 1 plan --shapes square --optimizer adamw \
    --constants adamw --plot /dev/full
finish
