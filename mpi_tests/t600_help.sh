#!/usr/bin/env bash
# Help, version and usage errors: without a launcher they need no MPI, and every option is there.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"

# MPI_Init would fail with this: what works now does not start MPI.
export OMPI_MCA_btl=nonexistent OMPI_MCA_pml=nonexistent

# quiet CODE PATTERN ARGUMENT...: runs alone; the pattern is looked for in both outputs.
alone() {
    local code=$1 pattern=$2
    shift 2
    timeout 20 "$PLUMB" "$@" >"$work/out" 2>"$work/err"
    local got=$?
    [ "$got" -eq "$code" ] || failed "plumb $*: exit code $got, expected $code"
    cat "$work/out" "$work/err" | grep -q -- "$pattern" || failed "plumb $*: no '$pattern'"
    if [ "$code" -ne 0 ]; then
        [ "$(wc -l <"$work/err")" -eq 1 ] || failed "plumb $*: not one line"
        [ ! -s "$work/out" ] || failed "plumb $*: text on standard output"
    else
        [ ! -s "$work/err" ] || failed "plumb $*: text on standard error"
    fi
}

alone 0 '^Commands:' --help
alone 0 '^Commands:' help
alone 0 '130 ' --help
alone 0 'plumb [0-9]*\.[0-9]*\.[0-9]*$' --version
alone 0 'Usage: .*plumb train' help train
alone 0 'Usage: .*plumb info' info --help
alone 0 'Exit codes' train --help
alone 2 'no command'
alone 2 "unknown command 'trian'; did you mean train?" trian
alone 2 "unknown command 'xyzzyxyzzy'" xyzzyxyzzy
alone 2 'unknown option --stepps; did you mean --steps?' train --stepps 3
alone 2 'unknown option --zzzzzzzzzz; --help lists' train --zzzzzzzzzz=3
alone 2 "unexpected argument 'text.txt'" train text.txt
alone 2 '--steps needs a value' train --steps
alone 2 '--run needs a value' train --run --json
alone 2 '--json takes no value' train --json=yes
alone 2 "--steps 'many' is not a whole number" train --steps many
alone 2 "--steps '1.5' is not a whole number" train --steps 1.5
alone 2 '--steps 0 is out of range: from 1' train --steps 0
alone 2 '--steps -3 is out of range' train --steps -3
alone 2 '--steps 99999999999999999999999 is out of range' train --steps 99999999999999999999999
alone 2 "--beta1 'x' is not a number" train --beta1 x
alone 2 '--beta1 1 is out of range: from 0, below 1' train --beta1 1
alone 2 "--optimizer 'adam' is none of sgd, adamw, muon, sophia, shampoo, soap" train --optimizer adam
alone 2 "--correction 'wishard' is none of none, moment, .*, wishart" train --correction wishard
alone 2 '--relative-damping 2 is out of range: from 0, to 1' train --relative-damping 2
alone 2 '--data is missing' train --model gpt

timeout 20 "$PLUMB" train --help >"$work/out"
shared=(optimizer pipeline polar learning-rate adamw-learning-rate beta1 beta2 epsilon weight-decay
    nesterov clip-norm correction noise-floor folds paper-mixing paper-support-clip rho clip
    curvature-interval exponent damping relative-damping root-interval root-failures block-size
    grafting bias-correction groups owners exchange)
for name in model data layers width heads context noise "${shared[@]}" curvature probes schedule \
    warm-up floor micro-batches micro-batch-size steps seed run initial-parameters \
    save-parameters average-weights evaluate-every held-out-units on-nonfinite generate prompt \
    temperature replica-check blas-threads progress json; do
    grep -q "^  --$name\>" "$work/out" || failed "train --help does not have --$name"
done
for heading in 'Model and data' Optimizer Correction Sophia 'Shampoo and SOAP' \
    'Batch and exchange' Run Output; do
    grep -qx "$heading" "$work/out" || failed "train --help has no heading $heading"
done
if timeout 20 "$PLUMB" replay --help >"$work/replay" 2>"$work/err"; then # not with WITH_HDF5=0
    for name in gradients out "${shared[@]}" json; do
        grep -q "^  --$name\>" "$work/replay" || failed "replay --help does not have --$name"
    done
    [ "$(awk 'length > 100' "$work/replay" | wc -l)" -eq 0 ] ||
        failed 'the help of replay has lines over 100 columns'
fi
[ "$(awk 'length > 100' "$work/out" | wc -l)" -eq 0 ] || failed 'the help has lines over 100 columns'

# The reference has a row for every option of the help, and no other.
reference=$(dirname "${BASH_SOURCE[0]}")/../docs/reference.md
documented() {
    sed -n "/^## plumb $1\$/,/^## /p" "$reference" | grep '^| *`--' | cut -d'|' -f2 |
        grep -o -e '--[a-z][a-z0-9-]*' | sort
}
for name in train info bench diagnose; do
    timeout 20 "$PLUMB" "$name" --help | grep -o '^  --[a-z][a-z0-9-]*' | tr -d ' ' | sort \
        >"$work/out"
    [ "$(wc -l <"$work/out")" -ge 3 ] || failed "plumb $name --help has no options"
    documented $name >"$work/documented"
    undocumented=$(comm -23 "$work/out" "$work/documented" | tr '\n' ' ')
    [ -z "$undocumented" ] || failed "plumb $name: docs/reference.md lacks $undocumented"
    unknown=$(comm -13 "$work/out" "$work/documented" | tr '\n' ' ')
    [ -z "$unknown" ] || failed "plumb $name: docs/reference.md has $unknown, which do not exist"
done

# Under a launcher help is printed once.
export OMPI_MCA_btl=self,vader
unset OMPI_MCA_pml
ranks 2 train --help
expect_code 0 'train --help'
[ "$(grep -c '^Usage' "$work/out")" -eq 1 ] || failed 'help under mpirun is not printed once'
finish
