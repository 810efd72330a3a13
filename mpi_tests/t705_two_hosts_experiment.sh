#!/usr/bin/env bash
# scripts/experiments/two-hosts at a small size: it measures what it says, in a form that programs
# can read, and its verdicts are those of its numbers. Times are not judged here; bytes are.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh and virtual.sh
. "$(dirname "$0")/support/program.sh"
. "$(dirname "$0")/support/virtual.sh"
experiment=$(realpath "$(dirname "$0")/../scripts/experiments/two-hosts")
build=$(dirname "$PLUMB")
for tool in python3 mpicc; do
    command -v $tool >/dev/null || { echo "no $tool"; exit 77; }
done
# A sanitizer's library wants a program of its own kind, and puts no other bytes on the wire.
if [ ! -e "$build/libplumb.so" ] || "$PLUMB" info | grep -q fsanitize; then
    echo 'no plain libplumb.so next to plumb'
    exit 77
fi
cd "$work" || exit 1

run() {
    timeout --kill-after=5 100 python3 -B "$experiment" --build "$build" "$@" >out 2>err </dev/null
    code=$?
}

run --only bytes --sizes 0.25,1 --repeats 1 --json bytes.json
[ $code -eq 0 ] || failed "code $code for bytes: $(cat out)"
python3 - bytes.json <<'TEXT' || failed 'bytes.json'
import json, sys
result = json.load(open(sys.argv[1]))
assert [row["bytes"] for row in result["bytes"]] == [262144, 1048576]
for row in result["bytes"]:
    # Both must send two payloads in all, and headers.
    for way in ("plumb", "mpi"):
        assert 2 * row["bytes"] <= row[way + "_sum"] <= 2.1 * row["bytes"], (way, row)
    assert len(row["plumb"]) == 2
assert all(goal["met"] == (goal["value"] <= goal["limit"]) for goal in result["goals"])
assert len(result["goals"]) == 2
TEXT

make_text text 40000
run --only overlap --pairs 1 --steps 5 --data text --json overlap.json
case $code in 0 | 1) ;; *) failed "code $code for overlap" ;; esac
python3 - overlap.json $code <<'TEXT' || failed "overlap.json: $(cat out)"
import json, sys
result = json.load(open(sys.argv[1]))
overlap = result["overlap"]
assert overlap["parameters_agree"]
assert 0.0 <= overlap["overlap"]["median"] <= 1.0
for way in ("transposed", "allreduce"):
    run, = overlap["runs"][way]
    assert run["step"] > 0 and run["exchange"] > 0 and run["bytes"] > 1000000, run
assert overlap["runs"]["allreduce"][0]["overlap"] == 0.0
assert (sys.argv[2] == "0") == all(goal["met"] for goal in result["goals"])
TEXT

for options in '--only nonsense' '--sizes x' '--build /nowhere' '--nonsense'; do
    # shellcheck disable=SC2086
    run $options
    [ $code -eq 2 ] || failed "code $code, expected 2: $options"
    [ -s err ] || failed "no message for $options"
done
finish
