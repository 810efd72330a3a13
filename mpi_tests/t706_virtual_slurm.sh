#!/usr/bin/env bash
# scripts/slurm/train and scaling on a real Slurm of two virtual hosts: a core a rank, the bits of
# mpirun, and an end after a killed rank (long before KillWait) and after scancel. And
# scripts/virtual-slurm itself leaves nothing behind. Skipped where there is no Slurm.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh and virtual.sh
. "$(dirname "$0")/support/program.sh"
. "$(dirname "$0")/support/virtual.sh"
virtual=$(dirname "$virtual")/virtual-slurm
slurm=$(dirname "$virtual")/slurm
cd "$work" || exit 1
export TMPDIR=$work/temporary PLUMB
mkdir "$TMPDIR"
# The tests' settings for mpirun on one host are not the cluster's.
unset OMPI_MCA_hwloc_base_binding_policy OMPI_MCA_rmaps_base_oversubscribe
unset PRTE_MCA_hwloc_default_binding_policy PRTE_MCA_rmaps_default_mapping_policy
# plumb warns of a BLAS kernel that somebody chose badly.
unset OPENBLAS_CORETYPE

on_hosts true
if [ "$code" -eq 77 ]; then
    grep SKIPPED err
    exit 77
fi
expect() { [ "$code" -eq "$1" ] || failed "exit code $code, expected $1: $2"; }
nothing_left() { [ -z "$(ls "$TMPDIR")" ] || failed "left after $1: $(ls "$TMPDIR")"; }
expect 0 'a command'
nothing_left success
for options in --nonsense --hosts '--hosts 0 true' ''; do
    # shellcheck disable=SC2086
    on_hosts $options
    expect 2 "options: $options"
    [ -s err ] || failed "no message: $options"
done
on_hosts --log daemons -- sh -c 'exit 9'
expect 9 'exit code of the command'
[ -s daemons/slurmctld.log ] || failed '--log keeps no logs'

# Everything that needs the cluster, in one session of it.
make_text text 4000
mkdir scripts && ln -s "$slurm" scripts/slurm
cat >session <<'TEXT'
small=(--data text --layers 1 --width 16 --heads 2 --context 16 --micro-batches 4)
# ends JOB: waits for the job's end; its state and seconds go to the file of that name.
ends() {
    local begin=$SECONDS
    while [ -n "$(squeue --noheader)" ]; do sleep 0.1; done
    echo "$(scontrol show job "$1" | grep -o 'JobState=[A-Z]*') $((SECONDS - begin))" >"end.$2"
}
submit() { sbatch --parsable --ntasks-per-node="$1" --output="$2.out" scripts/slurm/train \
    "${small[@]}" --steps "$3" --run "$2"; }
# As long as the job lives.
started() {
    until [ "$(wc -l <"$1/metrics.jsonl")" -gt 2 ] || [ -z "$(squeue --noheader)" ]; do
        sleep 0.1
    done 2>/dev/null
}

job=$(submit 1 two 5) && ends "$job" two
job=$(submit 2 four 5) && ends "$job" four
job=$(submit 1 killed 1000000) && started killed
for process in /proc/[0-9]*; do
    [ "$(cat "$process/comm")" = "$(basename "$PLUMB")" ] &&
        tr '\0' '\n' <"$process/environ" | grep -qx SLURM_PROCID=1 && kill -KILL "${process##*/}"
done 2>/dev/null
ends "$job" killed
job=$(submit 1 cancelled 1000000) && started cancelled && scancel "$job" && ends "$job" cancelled
scripts/slurm/scaling strong --nodes 1,2 --ranks-per-node 1 --repeats 2 --steps 3 --groups 2 \
    -- "${small[@]:0:10}" && ends 5 scaling
TEXT
virtual_slurm() {
    timeout --kill-after=5 170 "$virtual" -- bash session >out 2>err </dev/null
    code=$?
}
virtual_slurm
expect 0 session
nothing_left 'the session'
state() { sed 's/JobState=\([A-Z]*\) .*/\1/' "end.$1"; }
for run in two four; do
    [ "$(state $run)" = COMPLETED ] || failed "$run: $(cat "end.$run" "$run.out")"
    grep -q '^warnings *none' $run.out || failed "warnings: $(cat $run.out)"
done
[ "$(grep -c 'rank [01]  *node[12], cores 0 of' two.out)" -eq 2 ] || failed "$(cat two.out)"
if [ "$(nproc)" -gt 1 ]; then
    for core in 0 1; do
        [ "$(grep -c "rank [0-3]  *node[12], cores $core of" four.out)" -eq 2 ] ||
            failed "two hosts' ranks are not on core $core: $(cat four.out)"
    done
fi
ranks 1 train --data text --layers 1 --width 16 --heads 2 --context 16 --micro-batches 4 \
    --steps 5 --run plain
same plain two
same plain four

read -r _ seconds <end.killed
[ "$(state killed)" = FAILED ] || failed "a killed rank: $(cat end.killed)"
[ "$seconds" -lt 15 ] || failed "a killed rank ends the job after $seconds s"
grep -q '^srun: error: node2: task 1: Killed' killed.out || failed "$(cat killed.out)"
read -r _ seconds <end.cancelled
[ "$(state cancelled)" = CANCELLED ] || failed "scancel: $(cat end.cancelled)"
grep -q 'plumb: stopped by SIGTERM after step' cancelled.out || failed "$(cat cancelled.out)"
[ "$(field cancelled/summary.json status)" = '"interrupted"' ] || failed 'scancel: no summary'
[ "$(scripts/slurm/scaling table runs/strong | awk 'NR > 1 { print $1, $2 }' | tr '\n' ,)" = \
    '1 2,2 2,' ] || failed "scaling: $(ls runs/strong)"

# SIGTERM takes all daemons along.
"$virtual" -- sh -c 'touch up; sleep 100' >out 2>err </dev/null &
script=$!
await test -e up || failed 'not up'
mapfile -t processes < <(descendants $script)
[ ${#processes[@]} -gt 5 ] || failed "only ${#processes[@]} processes"
kill -TERM $script
wait $script
code=$?
expect 143 SIGTERM
for process in "${processes[@]}"; do
    await sh -c "! kill -0 $process" || failed "process $process survives SIGTERM"
done
nothing_left SIGTERM
finish
