#!/usr/bin/env bash
# plumb info: its fields alone and on ranks, its warnings, and the program that starts itself again
# when the BLAS kernel does not fit the CPU.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
unset OPENBLAS_CORETYPE

ranks 1 info
expect_code 0 info
for name in plumb build blas cpu memory mpi ranks; do
    grep -q "^$name " "$work/out" || failed "info does not show $name"
done
grep -q '^build .*: .*-std=c11 -O[0-9s]' "$work/out" || failed 'info does not show the flags'
grep -q '1 thread a rank' "$work/out" || grep -q 'blas  *unknown' "$work/out" ||
    failed 'the default is not one BLAS thread a rank'

ranks 3 info --json
expect_code 0 'info --json'
[ "$(field "$work/out" rank | tr '\n' ' ')" = '0 1 2 ' ] || failed 'info does not list 3 ranks'
[ "$(field "$work/out" ranks)" = 3 ] || failed 'info does not count 3 ranks'
[ "$(field "$work/out" nodes)" = 1 ] || failed 'info does not find one node'
[[ $(field "$work/out" flags) == *-ffp-contract=off* ]] || failed 'info --json has no flags'
wrong 2 'unknown option --jsn' 2 info --jsn

# More threads than any machine has cores.
ranks 2 info --blas-threads 64
if grep -q 'OpenBLAS' "$work/out"; then
    grep -q '^warning .*2 ranks x [0-9]* BLAS threads' "$work/out" ||
        [ "$(nproc)" -ge 128 ] || failed 'no warning about too many threads'
fi

# Both ranks on one core.
core=$(taskset -pc $$ | sed 's/.*: *\([0-9]*\).*/\1/')
PLUMB_PROGRAM=$PLUMB
cat >"$work/pinned" <<SCRIPT
#!/bin/sh
exec taskset -c $core "$PLUMB_PROGRAM" "\$@"
SCRIPT
chmod +x "$work/pinned"
PLUMB=$work/pinned
ranks 2 info
grep -q "^warning .*ranks 0 and 1 are both pinned to core $core" "$work/out" ||
    failed 'no warning about two ranks on one core'
PLUMB=$PLUMB_PROGRAM

# The kernel: one that the user chose is kept and warned of, a fallback is repaired.
kernel() {
    sed -n 's/^blas .*kernel \([^,]*\),.*/\1/p' "$work/out"
}
if grep -qw avx2 /proc/cpuinfo; then
    OPENBLAS_CORETYPE=Prescott ranks 1 info
    if [ "$(kernel)" = Prescott ]; then
        grep -q '^warning .*OPENBLAS_CORETYPE=Prescott' "$work/out" ||
            failed 'no warning about OPENBLAS_CORETYPE=Prescott'
        PLUMB_TEST_BLAS_FALLBACK=Haswell ranks 2 info
        expect_code 0 'info after a fallback'
        [ "$(kernel)" = Haswell ] || failed "after a fallback the kernel is $(kernel), not Haswell"
        grep -q 'started again with Haswell' "$work/out" || failed 'info hides the second start'
        # A kernel that does not exist: no loop.
        PLUMB_TEST_BLAS_FALLBACK=Nonsense ranks 1 info
        expect_code 0 'info after a useless second start'
    fi
fi
if grep -qw avx512vl /proc/cpuinfo; then
    OPENBLAS_CORETYPE=Haswell ranks 1 info
    if [ "$(kernel)" = Haswell ]; then
        grep -q '^warning .*OPENBLAS_CORETYPE=Haswell.*avx512' "$work/out" ||
            failed 'no warning about a kernel without AVX-512'
    fi
fi
finish
