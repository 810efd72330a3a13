#!/usr/bin/env bash
# The same promise over a thinned matrix: models, optimizers, pipelines, batches of 8 and 12 with
# several group counts, 1 to 8 ranks, both owner maps, and run after run. Each row is compared with
# its own run on one rank; over the rows every rank count meets both maps and both models.
# ranks: serial
# seconds: 900
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
make_images images
gpt=("${tiny_gpt[@]}" --data text --steps 3)
mlp=("${tiny_mlp[@]}" --data images --steps 3)
counts=(2 3 4 5 6 8)
next=0

# row MODEL OPTIMIZER PIPELINE K G: on one rank, then on three other counts, maps in turn.
row() {
    local -n base=$1
    local arguments=("${base[@]}" --optimizer "$2" --pipeline "$3" --micro-batches "$4" --groups "$5")
    local name=$1-$2-$3-$4-$5 i count owners
    ranks 1 "${arguments[@]}" --run "$name"
    expect_code 0 "$name on 1 rank"
    for i in 1 2 3; do
        count=${counts[next % ${#counts[@]}]}
        owners=$([ $(((next + next / ${#counts[@]}) % 2)) -eq 0 ] && echo sharded || echo rank0)
        next=$((next + 1))
        ranks "$count" "${arguments[@]}" --owners "$owners" --run "$name-$i"
        expect_code 0 "$name on $count ranks, $owners"
        same "$name" "$name-$i"
    done
}

row gpt muon average-then-orthogonalise 8 0
row mlp muon average-then-orthogonalise 12 4
row gpt adamw average-then-orthogonalise 12 3
row mlp adamw normalised-with-norm 8 2
row gpt sgd average-then-orthogonalise 8 1
row mlp sgd double-orthogonalise 12 12
row gpt muon orthogonalise-then-average 12 6
row mlp muon double-orthogonalise 8 8
row gpt muon normalised-with-norm 8 4
row mlp muon orthogonalised-with-norm 12 2
row gpt muon orthogonalised-with-factor 12 0
row mlp muon orthogonalise-then-average 8 4

# Run after run.
ranks 5 "${gpt[@]}" --micro-batches 12 --groups 3 --run once
expect_code 0 once
ranks 5 "${gpt[@]}" --micro-batches 12 --groups 3 --run again
expect_code 0 again
same once again
finish
