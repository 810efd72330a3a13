#!/usr/bin/env bash
# The Slurm scripts, with an sbatch and an srun that show their command lines and run them under
# mpirun: nodes, ranks, pinning and threads are as documented, and the table adds up.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
slurm=$(realpath "$(dirname "$0")/../scripts/slurm")
cd "$work" || exit 1
make_text text 4000
mkdir bin
export WORK=$work PLUMB MPIRUN

# sbatch: options up to the script, #SBATCH lines checked for form, then every member of the array.
cat >bin/sbatch <<'TEXT'
#!/bin/bash
echo "sbatch $*" >>"$WORK/log"
nodes=1 per_node=1 array=1-1
while [ $# -gt 0 ]; do
    case $1 in
    --nodes=*) nodes=${1#*=} ;;
    --ntasks-per-node=*) per_node=${1#*=} ;;
    --array=*) array=${1#*=} ;;
    --*=*) ;;
    *) break ;;
    esac
    shift
done
script=$1
shift
grep '^#SBATCH' "$script" | grep -v '^#SBATCH --[a-z-]*\(=[^ ]*\)\{0,1\}$' && exit 1
cp "$script" "$WORK/spooled" && chmod +x "$WORK/spooled"
for ((member = ${array%-*}; member <= ${array#*-}; member++)); do
    (cd / && SLURM_SUBMIT_DIR=$WORK SLURM_JOB_NUM_NODES=$nodes SLURM_NTASKS=$((nodes * per_node)) \
        SLURM_CPUS_PER_TASK=1 SLURM_ARRAY_TASK_ID=$member "$WORK/spooled" "$@") || exit
done
TEXT
cat >bin/srun <<'TEXT'
#!/bin/bash
echo "srun threads=$OPENBLAS_NUM_THREADS $*" >>"$WORK/log"
while [ $# -gt 0 ]; do case $1 in -*) shift ;; *) break ;; esac; done
exec "$MPIRUN" -np "$SLURM_NTASKS" "$@"
TEXT
chmod +x bin/*
export PATH=$work/bin:$PATH
mkdir scripts && ln -s "$slurm" scripts/slurm

run() {
    : >log
    timeout --kill-after=5 100 "$@" >out 2>err </dev/null
    code=$?
}
expect() { [ "$code" -eq "$1" ] || failed "exit code $code, expected $1: $2"; }
logged() { [ "$(grep -c -e "$1" log)" -eq "$2" ] || failed "not $2 lines like '$1': $(cat log)"; }

for script in "$slurm"/*; do
    bash -n "$script" || failed "syntax of $script"
done

# A single run: info first, then training, both pinned.
small=("${tiny_gpt[@]:1}" --data text)
run sbatch --nodes=2 --ntasks-per-node=1 "$slurm/train" "${small[@]}" --run single
expect 0 'single run'
logged '^srun threads=1 --mpi=pmix --cpus-per-task=1 --cpu-bind=cores --distribution=block:block' 2
program=${PLUMB##*/}
logged "/$program info\$" 1
logged "/$program train .*--run single" 1
[ "$(field single/summary.json ranks)" = 2 ] || failed 'not two ranks'
PLUMB=/nowhere/plumb run sbatch --nodes=1 "$slurm/train" --data text
expect 2 'no program'

# Strong: one array a node count, the same micro-batches; equal parameters.
model=(--data text --layers 1 --width 16 --heads 2 --context 16)
run scripts/slurm/scaling strong --nodes 1,2 --ranks-per-node 2 --repeats 2 --steps 3 --groups 4 \
    --sbatch --partition=long -- "${model[@]}"
expect 0 strong
logged '^sbatch .*--nodes=[12] --ntasks-per-node=2 --array=1-2 .*--partition=long' 2
logged '^srun threads=1 .*--micro-batches 4 --groups 4 --steps 3' 4
[ "$(cat runs/strong/*/metrics.jsonl | grep '"step":3' | grep -o 'parameters_hash.*' | sort -u |
    wc -l)" -eq 1 ] || failed 'parameters differ between node counts'
run scripts/slurm/scaling table runs/strong
expect 0 table
[ "$(awk 'NR > 1 { print $1, $2 }' out | tr '\n' ,)" = '2 2,4 2,' ] || failed "table: $(cat out)"
awk 'NR == 2 && $5 == 1 { good = 1 } END { exit !good }' out || failed "efficiency: $(cat out)"

# Weak: micro-batches grow with the ranks. Only shown.
run scripts/slurm/scaling weak --nodes 1,2,8 --ranks-per-node 4 --micro-batches 2 --dry-run -- \
    --data text
expect 0 weak
[ "$(grep -c '^sbatch' out)" -eq 3 ] || failed "weak: $(cat out)"
grep -q -e '--nodes=8 .*--micro-batches 64 ' out || failed "weak on 8 nodes: $(cat out)"
[ ! -s log ] || failed '--dry-run submits'

# The arithmetic of the table, from made-up summaries.
mkdir -p made/a made/b made/c made/d made/broken
summary() {
    printf '{\n  "status": "%s",\n  "ranks": %d,\n  "steps": 10,\n  "step_seconds": %s,\n}\n' \
        "${4:-completed}" "$2" "$3" >"made/$1/summary.json"
}
summary a 2 8.0
summary b 2 10.0
summary c 2 12.0
summary d 8 2.5
summary broken 8 1.0 interrupted
echo strong >made/kind
run scripts/slurm/scaling table made
[ "$(awk 'NR > 1 { print $1, $2, $3, $4, $5 }' out | tr '\n' ,)" = \
    '2 3 1.000000 1.000 1.000,8 1 0.250000 4.000 1.000,' ] || failed "strong table: $(cat out)"
echo weak >made/kind
run scripts/slurm/scaling table made
[ "$(awk 'NR > 2 { print $4, $5 }' out)" = '16.000 4.000' ] || failed "weak table: $(cat out)"

# Wrong use; nothing is submitted.
for options in '' nonsense 'strong' 'strong --nodes 0 -- x' 'weak --groups 3 --nodes 1 -- x' \
    'strong --micro-batches 8 --nodes 4 -- x' 'strong --nonsense 1 -- x' table 'table /nowhere'; do
    # shellcheck disable=SC2086
    run scripts/slurm/scaling $options
    expect 2 "scaling $options"
    [ -s err ] || failed "no message: scaling $options"
    [ ! -s log ] || failed "submits: scaling $options"
done
finish
