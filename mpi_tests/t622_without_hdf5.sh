#!/usr/bin/env bash
# make WITH_HDF5=0: the rest builds without HDF5 and works, and replay says that it is not there,
# alone and with the same exit code on all ranks.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
# Nothing of the make that runs the tests: a plain build of the program, fast rather than good.
unset MAKEFLAGS MAKELEVEL BUILD
root=$(cd "$(dirname "$0")/.." && pwd)
make -s -C "$root" -j2 BUILD="$work/build" WITH_HDF5=0 SANITIZE=0 CFLAGS=-O0 "$work/build/plumb" \
    >"$work/log" 2>&1 || {
    echo 'make WITH_HDF5=0 failed'
    tail -n 20 "$work/log"
    exit 1
}
PLUMB=$work/build/plumb
ldd "$PLUMB" | grep -q hdf5 && failed 'the program is linked with HDF5'
grep -q hdf5 "$work/build/flags" && failed 'the headers of HDF5 are looked for'

cd "$work" || exit 1
"$PLUMB" --version >out 2>err || failed 'the program does not run'
"$PLUMB" --help | grep -q '^  replay .*not in this build' || failed 'the help does not say it'
"$PLUMB" replay --help >out 2>err
[ $? -eq 2 ] || failed 'replay --help: another exit code than 2'
[ "$(grep -c 'replay is not in this build' err)" -eq 1 ] || failed 'replay --help: no clear line'
wrong 2 'replay is not in this build' 2 replay gradients.h5 --out values.h5
wrong 2 'diagnose is not in this build' 2 diagnose gradients.h5
make_text text 4000
wrong 2 'record-gradients is not in this build' 2 "${tiny_gpt[@]}" --data text --record-gradients g.h5
finish
