#!/usr/bin/env bash
# scripts/scaling on a tiny model: records, efficiency, that finished runs are kept, wrong input.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"
scripts=$(realpath "$(dirname "$0")/../scripts")

make_text "$work/text" 20000
series() {
    (cd "$scripts/.." && scripts/scaling --plumb "$PLUMB" --data "$work/text" --steps 3 \
        --ranks '1 2' --mode both --micro-batches 2 --out "$work/out" \
        --launcher "$MPIRUN -np %P" "$@" -- --layers 1 --width 16 --heads 2 --context 16)
}
series >"$work/first" 2>"$work/err" || failed 'the series failed'
[ "$(wc -l <"$work/first")" -ge 4 ] || failed 'not a record a run'
for name in seconds gradient_seconds exchange_seconds update_seconds efficiency exchange_bytes; do
    [ "$(field "$work/out/scaling.json" "$name" | wc -l)" -eq 4 ] || failed "not 4 times $name"
done
[ "$(field "$work/out/scaling.json" efficiency | head -n 1)" = 1 ] || failed 'one rank is not 1'
if command -v gnuplot >/dev/null; then
    for kind in efficiency seconds bytes; do
        [ -s "$work/out/$kind-strong.svg" ] || failed "no plot of $kind"
    done
fi
series --no-plots >"$work/second" 2>"$work/err" || failed 'the second series failed'
[ ! -s "$work/err" ] || failed 'finished runs were repeated'
series --steps 4 >"$work/second" 2>"$work/err" && failed 'other settings in the same folder'
"$scripts/scaling" --help | grep -q -- --launcher || failed 'no help'
"$scripts/scaling" --mode none 2>"$work/err" && failed 'a wrong mode'
"$scripts/scaling" --ranks x 2>"$work/err" && failed 'wrong ranks'
finish
