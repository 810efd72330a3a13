# shellcheck shell=bash
# What the tests on virtual hosts share; sourced after program.sh. Skips the test where namespaces
# are not permitted.
# shellcheck disable=SC2154 # names from program.sh

unset OMPI_MCA_btl
virtual=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../scripts/virtual-cluster")
"$virtual" --hosts 1 --quiet --bare true >"$work/out" 2>&1 </dev/null
case $? in
0) ;;
77)
    grep SKIPPED "$work/out"
    exit 77
    ;;
*)
    cat "$work/out"
    exit 1
    ;;
esac

# on_hosts [OPTION...] -- COMMAND...: leaves the exit code in $code, output in $work/out and err.
on_hosts() {
    timeout --kill-after=5 60 "$virtual" "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    case $code in 124 | 137) failed "hang: virtual-cluster $*" ;; esac
}

# The processes below this one, all generations.
descendants() {
    local child
    # shellcheck disable=SC2013 # one line of words
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do
        echo "$child"
        descendants "$child"
    done
}

# Waits up to ten seconds until the command succeeds.
await() {
    local rounds
    for ((rounds = 0; rounds < 200; rounds++)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.05
    done
    return 1
}
