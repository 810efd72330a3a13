#!/usr/bin/env bash
# scripts/virtual-cluster itself: hosts are apart and reach each other, bytes are counted, the exit
# code is the command's, and nothing is left behind after success, failure, interrupt and SIGKILL.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh and virtual.sh
# shellcheck disable=SC2016 # expanded on the hosts
. "$(dirname "$0")/support/program.sh"
. "$(dirname "$0")/support/virtual.sh"
cd "$work" || exit 1
export TMPDIR=$work/temporary
mkdir "$TMPDIR"

expect() { [ "$code" -eq "$1" ] || failed "exit code $code, expected $1: $2"; }
nothing_left() {
    [ -z "$(ls "$TMPDIR")" ] || failed "left after $1: $(ls "$TMPDIR")"
}

# Wrong use, each with a line that names the option.
for options in '--hosts 0' '--hosts 65' '--hosts x' '--slots 0' '--slots 1,2,3' '--slots 1,,1' \
    '--ranks 3' '--rate fast' '--rate 1' '--shared-memory much' '--nonsense' '--hosts' \
    '--json /nowhere/file'; do
    # shellcheck disable=SC2086
    on_hosts $options -- true
    expect 2 "$options"
    grep -q '^virtual-cluster: ' err || failed "no message for $options"
    grep -q -e "${options##* }" err || failed "no word of what is wrong: $options"
done
on_hosts --hosts 2
expect 2 'no command'
on_hosts --help
expect 0 --help
grep -q 'exit code' out || failed 'no help'

# Uneven hosts with names, addresses and shared memory of their own; files are shared.
on_hosts --hosts 3 --slots 2,1,1 --shared-memory 3m --json bytes.json --hostfile hosts -- sh -c '
    echo "$(hostname) $(df -k /dev/shm | tail -n 1 | awk "{ print \$2 }") $(getent hosts node3)"
    touch "seen.$(hostname)" "/dev/shm/$(hostname)"; ls /dev/shm >"memory.$(hostname)"'
expect 0 'three hosts'
[ "$(awk '{ print $1 }' out | sort | uniq -c | tr -s ' \n' ' ')" = ' 2 node1 1 node2 1 node3 ' ] ||
    failed "ranks on hosts: $(cat out)"
[ "$(awk '{ print $2, $3, $4 }' out | sort -u)" = '3072 10.0.0.3 node3' ] ||
    failed "shared memory and names: $(cat out)"
[ "$(ls seen.*)" = "$(printf 'seen.node%d\n' 1 2 3)" ] || failed 'files are not shared'
grep -q node1 memory.node2 memory.node3 && failed 'node1 shares its memory'
[ "$(cat hosts)" = "$(printf 'node%d slots=%d\n' 1 2 2 1 3 1)" ] || failed "hostfile: $(cat hosts)"
[ "$(grep -c '^node[123]  *10\.0\.0\.' err)" -eq 3 ] || failed 'no table of three hosts'
nothing_left success

# A known number of bytes from one host to the other. Standard output travels from node2 to mpirun,
# which adds 5 % to it (Open MPI 4) or 17 % (5).
on_hosts --quiet --json bytes.json -- sh -c \
    '[ "$(hostname)" != node2 ] || head -c 3000000 /dev/zero'
expect 0 'three million bytes'
[ "$(wc -c <out)" -eq 3000000 ] || failed "$(wc -c <out) bytes of standard output"
[ ! -s err ] || failed '--quiet is not'
mapfile -t sent < <(field bytes.json tx_bytes)
mapfile -t received < <(field bytes.json rx_bytes)
# The counters are read one after the other: an acknowledgement may come in between.
difference=$((received[0] - sent[1]))
if [ "${sent[1]}" -lt 3000000 ] || [ "${sent[1]}" -gt 3700000 ] || [ "${sent[0]}" -gt 100000 ] ||
    [ "${difference#-}" -gt 500 ]; then
    failed "bytes sent ${sent[*]}, received ${received[*]}"
fi

# The slowed link: two million bytes at 8 Mbit/s are two seconds, less a burst and a queue.
on_hosts --quiet --rate 8mbit --json bytes.json -- sh -c \
    '[ "$(hostname)" != node2 ] || head -c 2000000 /dev/zero'
expect 0 'slow link'
awk "BEGIN { exit !($(field bytes.json seconds) > 1.5) }" ||
    failed "the rate is not kept: $(field bytes.json seconds) s"
[ "$(field bytes.json rate)" = '"8mbit"' ] || failed 'no rate in the report'

# The command as it is: standard input, arguments with blanks, mpirun inside.
echo typed | timeout 60 "$virtual" --quiet --bare -- sh -c 'cat; echo "$1"; mpirun -np 2 hostname' \
    sh 'a  b' >out 2>err
[ "$(sort out | tr '\n' ,)" = 'a  b,node1,node2,typed,' ] || failed "--bare: $(cat out)"

# Failure.
on_hosts -- sh -c 'exit 3'
expect 3 failure
on_hosts --bare /nowhere/program
[ "$code" -ne 0 ] || failed 'a missing program succeeds'
nothing_left failure

# Interrupted: ends within seconds, with the signal's code, and no process survives. Whoever starts
# a process in the background may have it ignore SIGINT: hence env.
for signal in INT TERM KILL; do
    env --default-signal=INT "$virtual" -- sh -c "touch '$work/started.$signal'; exec sleep 50" \
        >out 2>err </dev/null &
    process=$!
    await test -e "started.$signal" || failed "not started before $signal"
    below=$(descendants $process)
    [ "$(wc -w <<<"$below")" -ge 5 ] || failed "only these processes: $below"
    begin=$SECONDS
    kill -$signal $process
    wait $process 2>/dev/null
    code=$?
    [ $((SECONDS - begin)) -le 8 ] || failed "$((SECONDS - begin)) s to end after $signal"
    case $signal in
    INT) expect 130 $signal ;;
    TERM) expect 143 $signal ;;
    *) expect 137 $signal ;;
    esac
    for child in $below; do
        await test ! -e "/proc/$child" || failed "process $child outlives $signal"
    done
    [ $signal = KILL ] || nothing_left $signal
done
[ "$(find "$TMPDIR" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ] ||
    failed 'a killed run leaves one folder'
on_hosts --clean
expect 0 --clean
nothing_left --clean

# Without permission it says so and does not succeed.
printf '#!/bin/sh\necho "unshare failed: Operation not permitted" >&2\nexit 1\n' >unshare
chmod +x unshare
PATH=$work:$PATH on_hosts -- true
expect 77 'no permission'
grep -q SKIPPED err || failed 'skips silently'
finish
