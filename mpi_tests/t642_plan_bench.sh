#!/usr/bin/env bash
# plumb plan --bench: constants from files of benches, against numbers worked out by hand, from the
# benches themselves, and wrong input.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1

# One measurement of constants, on which the files go.
printf 'hidden 256 256 muon\nlow 1024 128 muon\n' >shapes
plan=(plan --shapes shapes --polar fast --gradient-seconds 0.1 --ranks 1)
ranks 1 "${plan[@]}" --measure constants --json
expect_code 0 'plan --measure'
[ "$(field out sources)" = '[]' ] || failed 'sources without --bench'
plan+=(--constants constants)

# near NAME VALUE: the constant, to nine digits.
near() {
    awk -v a="$(field out "$1" | head -n 1)" -v b="$2" 'BEGIN { d = a / b - 1; exit !(d * d < 1e-18) }' ||
        failed "$1 is $(field out "$1" | head -n 1), not $2"
}

cat >gpt.json <<'TEXT'
{"bench": "gpt", "blas_kernel": "A", "model_flops_per_second": 5e10, "product_flops_per_second": 8e10}
TEXT
# 2e6 more bytes in 5 - 0.05 ms less the updates' 1 - 0.01 ms; the first size is not the smallest.
cat >node.json <<'TEXT'
{"bench": "exchange", "ranks": 2, "one_node": true, "owners": "sharded", "sizes": [
 {"bytes": 1000000, "ways": [{"way": "MPI_Allreduce", "seconds": 1.0, "exchange_bytes": 2e6},
  {"way": "step", "seconds": 5e-3, "update_seconds": 1e-3, "exchange_bytes": 2e6}]},
 {"bytes": 1000, "ways": [
  {"way": "step", "seconds": 5e-5, "update_seconds": 1e-5, "exchange_bytes": 2e3}]}]}
TEXT
sed 's/"one_node": true/"one_node": false/; s/"ranks": 2/"ranks": 4/' node.json >network.json
# Of m n s and s^3: 2e-11 and 5e-11 exactly, s the short side.
cat >polar.json <<'TEXT'
{"bench": "polar", "blas_kernel": "A", "shapes": [
 {"rows": 256, "cols": 256, "methods": [{"method": "exact", "seconds": 1.0},
  {"method": "fast", "seconds": 1.17440512e-3}]},
 {"rows": 128, "cols": 1024, "methods": [{"method": "fast", "seconds": 4.40401920e-4}]}]}
TEXT
ranks 1 "${plan[@]}" --bench node.json,gpt.json,polar.json,network.json --json
expect_code 0 'plan --bench'
near gradient_flops_per_second 5e10
near product_flops_per_second 8e10
near node_bytes_per_second "$(awk 'BEGIN { printf "%.12g", 1998000 / 3.96e-3 }')"
near node_latency_seconds 8e-6
near network_bytes_per_second "$(awk 'BEGIN { printf "%.12g", 1998000 / 3.96e-3 / 4 }')"
near network_latency_seconds "$(awk 'BEGIN { printf "%.12g", 4e-5 / 9 }')"
near product_seconds 2e-11
near cube_seconds 5e-11
near update_seconds "$(awk 'BEGIN { printf "%.12g", 1.17440512e-3 + 4.40401920e-4 }')"
[ "$(field out bench | tr -d '\n')" = '"exchange""gpt""polar""exchange"' ] || failed 'sources'
ranks 1 "${plan[@]}" --bench node.json
grep -q '^bench  *node.json: node_bytes_per_second, node_latency_seconds$' out ||
    failed 'the table does not say what came from where'

# What only noise makes negative is left out, the other term fits on the average.
sed 's/4.40401920e-4/1.5e-3/' polar.json >steep.json
ranks 1 "${plan[@]}" --bench steep.json --json
expect_code 0 'a fit with a negative part'
[ "$(field out cube_seconds)" = 0.0 ] || failed "cube: $(field out cube_seconds)"
awk -v a="$(field out product_seconds)" 'BEGIN { exit !(a > 7e-11 && a < 9e-11) }' ||
    failed "product: $(field out product_seconds)"
sed 's/4.40401920e-4/1e-4/' polar.json >flat.json
ranks 1 "${plan[@]}" --bench flat.json --json
[ "$(field out product_seconds)" = 0.0 ] || failed "product: $(field out product_seconds)"
awk -v a="$(field out cube_seconds)" 'BEGIN { exit !(a > 4e-11 && a < 8e-11) }' ||
    failed "cube: $(field out cube_seconds)"

# The benches themselves.
for bench in 'gpt --layers 1 --width 32 --heads 2 --context 16' \
    'exchange --sizes 1KiB,1MiB' 'polar --shapes 64x64,128x32 --batch 0 --accuracy-side 0'; do
    count=1
    [ "${bench%% *}" != exchange ] || count=2
    # shellcheck disable=SC2086 # words
    ranks $count bench $bench --seconds 0 --json
    cp out "${bench%% *}.real"
    ranks 1 "${plan[@]}" --bench "${bench%% *}.real" --json
    expect_code 0 "plan from bench ${bench%% *}"
    [ "$(field out bench)" = "\"${bench%% *}\"" ] || failed "bench ${bench%% *} is no source"
done

echo '{"bench": "root"}' >root.json
echo '{"bench": "gpt", "blas_kernel": "A", "model_flops_per_second": 0, "product_flops_per_second": 1}' >zero.json
sed 's/"sharded"/"rank0"/' node.json >rank0.json
sed 's/1000000/2000/' node.json >alike.json
sed 's/"seconds": 5e-5/"seconds": 5e-2/' node.json >backwards.json
sed 's/"step"/"stop"/' node.json >without.json
sed 's/"rows": 128, "cols": 1024/"rows": 512, "cols": 512/' polar.json >squares.json
sed 's/"A"/"B"/' polar.json >kernel.json
sed 's/"blas_kernel": "A", //' gpt.json >unnamed.json
sed 's/"one_node": true, //' node.json >nowhere.json
wrong 2 'kernel.json: measured with the BLAS kernel B, the rest with A' 1 "${plan[@]}" \
    --bench gpt.json,kernel.json
wrong 2 'gpt.json: measured with the BLAS kernel A, the rest with' 1 plan --shapes shapes \
    --polar fast --gradient-seconds 0.1 --ranks 1 --bench gpt.json
wrong 3 'blas_kernel is missing' 1 "${plan[@]}" --bench unnamed.json
wrong 3 'one_node is missing' 1 "${plan[@]}" --bench nowhere.json
cp gpt.json twice.json
wrong 2 'twice.json: gradient_flops_per_second is in gpt.json already' 1 "${plan[@]}" \
    --bench gpt.json,twice.json
wrong 3 'cannot read nothing' 1 "${plan[@]}" --bench nothing
wrong 3 'is not what plumb bench gpt, exchange or polar writes' 1 "${plan[@]}" --bench root.json
wrong 3 'is not what plumb bench' 1 "${plan[@]}" --bench constants
wrong 3 'model_flops_per_second is missing or not a number above 0' 1 "${plan[@]}" --bench zero.json
wrong 2 'not measured with --owners sharded' 1 "${plan[@]}" --bench gpt.json,rank0.json
wrong 3 'no two sizes' 1 "${plan[@]}" --bench alike.json
wrong 3 'node_bytes_per_second would be -' 1 "${plan[@]}" --bench backwards.json
wrong 3 "no way 'step'" 1 "${plan[@]}" --bench without.json
wrong 3 'no two shapes of different proportions' 1 "${plan[@]}" --bench squares.json
wrong 2 'a name is empty' 1 "${plan[@]}" --bench gpt.json,
ranks 1 plan --shapes shapes --polar exact --gradient-seconds 0.1 --ranks 1 --measure exact
wrong 3 'with method exact' 1 plan --shapes shapes --polar exact --constants exact \
    --gradient-seconds 0.1 --ranks 1 --bench polar.json
printf 'hidden 8 8 adamw\n' >small
ranks 1 plan --shapes small --optimizer adamw --gradient-seconds 0.1 --ranks 1 --bench polar.json
expect_code 2 'bench polar for adamw'
finish
