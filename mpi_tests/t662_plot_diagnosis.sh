#!/usr/bin/env bash
# scripts/plot-diagnosis draws what plumb diagnose found, from files of columns with a row for every
# step, eigenvalue and direction; without gnuplot the columns alone.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" diagnose --help >/dev/null || exit 77 # WITH_HDF5=0
root=$(cd "$(dirname "$0")/.." && pwd)
fixture=${BUILD:-$root/build}/tools/noise_fixture
cd "$work" || exit 1

"$fixture" isotropic isotropic.h5 >/dev/null || failed 'no fixture'
"$PLUMB" diagnose isotropic.h5 --json --each-step --last-step 2 >result.json || failed 'no result'
"$root/scripts/plot-diagnosis" result.json 'a folder' >out 2>err || failed 'plot-diagnosis fails'
for name in noise-scale eigenvalues echo collapse; do
    awk -F '\t' 'NR == 1 { n = NF } NF != n { exit 1 } END { exit NR < 3 }' "a folder/$name.tsv" ||
        failed "$name.tsv is no table"
    if command -v gnuplot >/dev/null; then
        grep -q '</svg>' "a folder/$name.svg" || failed "no $name.svg"
        [ -s "a folder/$name.png" ] || failed "no $name.png"
    fi
done
[ "$(grep -vc '^#' 'a folder/noise-scale.tsv')" -eq 2 ] || failed 'not one noise scale a step'
[ "$(grep -vc '^#' 'a folder/echo.tsv')" -eq $((16 + 16 + 8)) ] || failed 'not 40 directions'
awk -F '\t' '!/^#/ && $3 != "NaN" && ($3 < 0 || $3 > 1) { exit 1 }' 'a folder/collapse.tsv' ||
    failed 'an echo outside 0 to 1'
# Directions without any strength have no place on a logarithmic axis: all but that plot is drawn.
sed -E 's/("strength": )[0-9.e+-]+/\10.0/' result.json >weak.json
"$root/scripts/plot-diagnosis" weak.json weak >out 2>err || failed 'nothing above 0 is no plot'
[ -z "$(find weak -name '*.new' -o -name 'collapse.svg' -o -name names)" ] ||
    failed 'something is left of a plot that cannot be'
if command -v gnuplot >/dev/null; then
    [ -s weak/echo.png ] || failed 'no echoes where there is no collapse'
fi
echo '{}' >other.json
"$root/scripts/plot-diagnosis" other.json plots >out 2>err && failed 'another file is plotted'
grep -q 'is not what plumb diagnose --json prints' err || failed 'no clear line'
finish
