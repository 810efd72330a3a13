#!/usr/bin/env bash
# A rank that is killed in the middle of training ends the job within seconds, with a message and an
# exit code, on one host and on two; nothing is left running.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh and virtual.sh
. "$(dirname "$0")/support/program.sh"
. "$(dirname "$0")/support/virtual.sh"
cd "$work" || exit 1
make_text text 4000

# Trains for hours on two ranks; kills one of them after a few steps. Runs where the ranks run,
# because on virtual hosts their process numbers are not ours.
# shellcheck disable=SC2016
cat >murder <<'TEXT'
#!/bin/bash
victim=$1 run=$2
shift 2
mpirun -np 2 sh -c 'echo $$ >"$0.${OMPI_COMM_WORLD_RANK:-${PMIX_RANK:-0}}"; exec "$@"' "$run.pid" \
    "$@" --run "$run" &
launcher=$!
for ((i = 0; i < 400; i++)); do
    [ "$(cat "$run/metrics.jsonl" 2>/dev/null | wc -l)" -lt 5 ] || break
    sleep 0.05
done
[ $i -lt 400 ] || { echo 'TOO SLOW: no fifth step'; exit 1; }
kill -KILL "$(cat "$run.pid.$victim")"
begin=$EPOCHREALTIME
(sleep 20; kill -KILL $launcher 2>/dev/null && echo HANG) &
guard=$!
wait $launcher
code=$?
kill $guard 2>/dev/null
awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { print "seconds", b - a }'
echo "code $code"
for rank in 0 1; do
    for ((i = 0; i < 100; i++)); do
        kill -0 "$(cat "$run.pid.$rank")" 2>/dev/null || break
        sleep 0.05
    done
    [ $i -lt 100 ] || echo "LEFT rank $rank"
done
TEXT
chmod +x murder

check() {
    local name=$1
    grep -q HANG out && failed "hang: $name goes on for 20 s after a rank was killed"
    grep -q 'TOO SLOW' out && failed "$name: no fifth step"
    grep LEFT out && failed "$name: a rank is still running"
    grep -q '^code [1-9]' out || failed "$name: $(grep '^code' out)"
    awk '$1 == "seconds" { good = $2 < 10 } END { exit !good }' out ||
        failed "$name: $(grep seconds out)"
    grep -q -i -e 'killed' -e 'signal 9' -e 'lost connection' -e 'closed' err ||
        failed "$name: no message says what happened"
}

training=("$PLUMB" "${tiny_gpt[@]}" --data text --steps 1000000 --evaluate-every 1000000
    --progress never)
for victim in 0 1; do
    timeout --kill-after=5 60 ./murder $victim "one-$victim" "${training[@]}" >out 2>err </dev/null
    check "rank $victim of one host"
    on_hosts --bare -- ./murder $victim "two-$victim" "${training[@]}"
    check "rank $victim of two hosts"
done
finish
