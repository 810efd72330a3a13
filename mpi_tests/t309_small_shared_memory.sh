#!/usr/bin/env bash
# Ranks of a node whose /dev/shm is too small for their sums, is full of other things, or who may not
# write files of that size: the exchange goes by messages, and nothing dies at the first touch of a
# page that is not there.
# ranks: serial
set -u
program=${PLUMB:-build/plumb}
program=$(readlink -f "$program")
export program OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OPENBLAS_NUM_THREADS=1

# exchange SIZES: the bench to its end; exit code 1 says that it missed a goal of speed.
exchange() {
    local output code
    output=$(timeout 120 mpirun --oversubscribe -np 2 "$program" bench exchange --sizes "$1" \
        --seconds 1 --json 2>&1)
    code=$?
    if [ $code -gt 1 ] || [ "$(grep -c '"bytes":' <<<"$output")" -ne "$(wc -w <<<"${1//,/ }")" ]; then
        echo "t309: $2: exit code $code:"
        echo "$output"
        return 1
    fi
}
export -f exchange

# In units of 1024 bytes; MPI's own files are smaller.
(ulimit -f 16384 && exchange 4MiB,32MiB 'a limit to the size of files') || exit 1

if ! unshare -m true 2>/dev/null; then
    echo "t309: SKIPPED: no mount namespaces here (unshare -m)"
    exit 77
fi
unshare -m bash -c '
    mount -t tmpfs -o size=24m tmpfs /dev/shm || exit 77
    # Of these sizes some fit for one rank and not for both.
    exchange 64KiB,4MiB,6MiB,8MiB,12MiB,16MiB,32MiB "a small /dev/shm" || exit 1
    head -c 12M /dev/zero >/dev/shm/taken
    exchange 64KiB,4MiB,6MiB "a full /dev/shm"'
code=$?
[ $code -ne 77 ] || echo "t309: SKIPPED: a small /dev/shm cannot be mounted here"
exit $code
