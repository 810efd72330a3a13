#!/usr/bin/env bash
# Ranks of a node whose /dev/shm is too small for their sums: the exchange goes by messages, and
# nothing dies at the first touch of a page that is not there.
# ranks: serial
set -u
program=${PLUMB:-build/plumb}
program=$(readlink -f "$program")
if ! unshare -m true 2>/dev/null; then
    echo "t309: SKIPPED: no mount namespaces here (unshare -m)" >&2
    exit 0
fi
export program OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OPENBLAS_NUM_THREADS=1
# shellcheck disable=SC2016 # the inner shell expands
output=$(unshare -m bash -c '
    mount -t tmpfs -o size=24m tmpfs /dev/shm || exit 77
    timeout 120 mpirun --oversubscribe -np 2 "$program" bench exchange --sizes 64KiB,32MiB \
        --seconds 1 --json 2>&1')
code=$?
if [ $code -eq 77 ]; then
    echo "t309: SKIPPED: a small /dev/shm cannot be mounted here" >&2
    exit 0
fi
# Exit code 1: the bench has missed a goal of speed.
if [ $code -gt 1 ] || ! grep -q '"bytes": *33554432' <<<"$output"; then
    echo "t309: exit code $code:"
    echo "$output"
    exit 1
fi
