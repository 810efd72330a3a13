#!/usr/bin/env bash
# scripts/experiments/collapse on a small scale: trains, records, measures, keeps what is there.
# ranks: serial
# seconds: 300
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" diagnose --help >/dev/null || exit 77 # WITH_HDF5=0
[ -d /usr/share/datasets/fashion-mnist ] || {
    echo 'SKIPPED: no data set in /usr/share/datasets/fashion-mnist' >&2
    exit 77
}
collapse=$(cd "$(dirname "$0")/.." && pwd)/scripts/experiments/collapse
small=(--plumb "$PLUMB" --models mlp --points "0,3" --groups 8 --folder "$work/collapse")

"$collapse" "${small[@]}" >"$work/out" 2>"$work/err" || failed "ended with $?: $(tail -1 "$work/err")"
[ "$(grep -c '^| mlp | .* 0\.[0-9]* ± 0\.[0-9]* ' "$work/out")" -eq 7 ] || failed "not seven forms"
cmp -s "$work/out" <(cat "$work/collapse/results.txt" && echo) || failed 'other results in the file'
command -v gnuplot >/dev/null && ! grep -q '</svg>' "$work/collapse/collapse.svg" &&
    failed 'no plot'

# A second time nothing is trained or recorded, and the numbers stay.
touch "$work/then"
"$collapse" "${small[@]}" >"$work/again" 2>/dev/null || failed 'a second time fails'
cmp -s "$work/out" "$work/again" || failed 'a second time gives other numbers'
[ -z "$(find "$work/collapse" -name '*.h5' -newer "$work/then")" ] || failed 'recorded again'

"$collapse" --groups 7 2>/dev/null && failed 'an odd number of groups is accepted'
"$collapse" --models cnn 2>/dev/null && failed 'another model is accepted'
finish
