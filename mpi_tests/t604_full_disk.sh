#!/usr/bin/env bash
# The disk fills up while metrics are written: one line, the same code on all ranks, and what was
# written stays whole. A limit on the file size, set while the run is going, stands for the disk.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
if ! command -v prlimit >/dev/null; then
    echo 'there is no prlimit (package util-linux)'
    exit 77
fi
make_text text 4000

# After its first lines rank 0 may write no file beyond a little more than metrics.jsonl has.
limit_rank0() {
    local tries=0
    until [ -s run/metrics.jsonl ] && [ "$(wc -l <run/metrics.jsonl)" -ge 3 ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || return
        sleep 0.05
    done
    prlimit --pid "$(cat pid.0)" --fsize=$(($(stat -c %s run/metrics.jsonl) + 3333))
}
limit_rank0 &
ranks 2 "${tiny_gpt[@]}" --data text --steps 1M --evaluate-every 0 --run run
wait
expect_code 3 'full disk'
expect_line 'cannot write run/metrics.jsonl: File too large'
[ "$(tail -c 1 run/metrics.jsonl | od -An -c | tr -d ' ')" = '\n' ] || failed 'half a line was left'
whole=$(grep -c '^{"step":.*"parameters_hash":"[0-9a-f]*"}$' run/metrics.jsonl)
[ "$whole" -eq "$(wc -l <run/metrics.jsonl)" ] || failed 'a line is not whole'
[ "$(field run/metrics.jsonl step | tail -n 1)" -eq $((whole - 1)) ] || failed 'steps are missing'
[ -e run/config.json ] || failed 'config.json is gone'

# What is printed is the result of most commands: it is not lost in silence.
if [ -e /dev/full ]; then
    PLUMB_PROGRAM=$PLUMB
    printf '#!/bin/sh\nexec "%s" "$@" >/dev/full\n' "$PLUMB" >unprinted
    chmod +x unprinted
    PLUMB=$work/unprinted
    wrong 3 'cannot write to standard output' 2 info
    for help in --version --help 'help plan' 'train --help'; do
        # shellcheck disable=SC2086 # words
        ./unprinted $help 2>err
        [ $? -eq 3 ] || failed "$help on a full disk"
        grep -q 'cannot write to standard output' err || failed "$help says: $(cat err)"
    done
    wrong 3 'cannot write to standard output' 1 claims correction --quick --only curvature --json
    PLUMB=$PLUMB_PROGRAM
fi
finish
