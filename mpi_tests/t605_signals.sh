#!/usr/bin/env bash
# SIGINT and SIGTERM: the run ends between steps with its metrics whole, a summary that says
# interrupted, and 128 plus the signal's number on every rank, whichever rank got the signal.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
gpt=("${tiny_gpt[@]}" --data text --steps 1M --evaluate-every 0)

# when_running RUN COMMAND...: runs the command once three lines of metrics are there.
when_running() {
    local run=$1 tries=0
    shift
    until [ -s "$run/metrics.jsonl" ] && [ "$(wc -l <"$run/metrics.jsonl")" -ge 3 ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || return
        sleep 0.05
    done
    "$@"
}

# shellcheck disable=SC2317 # called through when_running
send() {
    local rank
    for rank in $2; do
        kill "-$1" "$(cat "pid.$rank")"
    done
}

whole() {
    local lines
    lines=$(grep -c '^{"step":.*"parameters_hash":"[0-9a-f]*"}$' "$1/metrics.jsonl")
    [ "$lines" -eq "$(wc -l <"$1/metrics.jsonl")" ] || failed "$1: a line is not whole"
    [ "$(field "$1/summary.json" status)" = '"interrupted"' ] || failed "$1: not interrupted"
    [ "$(field "$1/summary.json" steps)" -eq $((lines - 1)) ] || failed "$1: steps are miscounted"
    # Only the untrained model was evaluated: the summary has no loss of the model at the end.
    [ "$(field "$1/summary.json" held_out_loss)" = null ] || failed "$1: an old loss as the last"
    [ "$(field "$1/summary.json" held_out_step)" = 0 ] || failed "$1: another step was evaluated"
    [ "$(field "$1/summary.json" held_out_loss_last_evaluated)" = \
        "$(field "$1/summary.json" held_out_loss_untrained)" ] || failed "$1: another loss"
}

# interrupted CODE SIGNAL RANKS-THAT-GET-IT
interrupted() {
    local run="run-$2-${3// /}"
    when_running "$run" send "$2" "$3" &
    ranks 2 "${gpt[@]}" --run "$run"
    wait
    expect_code "$1" "$2 to ranks $3"
    expect_line "stopped by SIG$2 after step"
    whole "$run"
    grep -q '^held-out loss  *[0-9.]* untrained, [0-9.]* at step 0 ' "$work/out" ||
        failed "$run: the table does not tell when the loss was evaluated"
}
interrupted 143 TERM '0 1'
interrupted 130 INT '0 1'
interrupted 143 TERM 1
interrupted 130 INT 0

# mpirun passes the signal on and kills what has not ended a second later. In the foreground timeout
# gives it the signal once: at the second one mpirun ends without waiting for anybody.
forget
timeout --foreground --kill-after=5 120 "$MPIRUN" -np 2 "$PLUMB" "${gpt[@]}" --run launched >out 2>err </dev/null &
launcher=$!
# shellcheck disable=SC2317
stop_launcher() {
    kill -TERM "$launcher"
}
when_running launched stop_launcher
wait $launcher && failed 'mpirun reports success after SIGTERM'
whole launched

# A rank that comes nowhere, as if its node were lost: the one that was told to stop leaves by
# itself, some ten seconds later.
# shellcheck disable=SC2317 # called through when_running
freeze() {
    local tries
    kill -STOP "$(cat pid.1)"
    kill -TERM "$(cat pid.0)"
    for ((tries = 0; tries < 600; tries++)); do
        [ ! -s code.0 ] || break
        sleep 0.05
    done
    kill -KILL "$(cat pid.1)"
}
forget
when_running frozen freeze &
WORK=$work timeout --kill-after=5 120 "$MPIRUN" -np 2 bash -c "$rank_script" rank \
    "$PLUMB" "${gpt[@]}" --run frozen >out 2>err </dev/null
wait
[ "$(cat code.0)" = 143 ] || failed "exit code $(cat code.0) of a rank told to stop"
grep -q '^plumb: told to stop, but the step does not end' err || failed 'no message of the end'
finish
