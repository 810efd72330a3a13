#!/usr/bin/env bash
# The examples of docs/how-to/diagnose-recorded-gradients.md run as they stand there and make files
# that plumb diagnose reads. Needs python3 with h5py, and PyTorch for the second.
# ranks: serial
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" diagnose --help >/dev/null || exit 77 # WITH_HDF5=0
python3 -c 'import h5py, numpy' 2>/dev/null || {
    echo 'skipped: python3 with h5py is not installed'
    exit 77
}
page=$(cd "$(dirname "$0")/.." && pwd)/docs/how-to/diagnose-recorded-gradients.md
cd "$work" || exit 1

# example NAME: the first block of Python after the mark of that name.
example() {
    awk -v mark="<!-- $1 -->" '
        $0 == mark { here = 1 }
        here && /^```$/ { exit }
        inside { print }
        here && /^```python$/ { inside = 1 }' "$page" >example.py
    [ "$(grep -c . example.py)" -ge 12 ] || failed "the page has no example of $1"
    python3 example.py >out 2>err || failed "the example of $1 fails"
    ranks 2 diagnose gradients.h5
    expect_code 0 "gradients of $1"
    grep -q 'recorded steps 1 to 3: 8 micro-batches a step, 256 samples' out || failed "$1: another file"
    grep -q "$2 " out || failed "$1: no parameter $2"
    rm -f gradients.h5
}
example numpy weight
if python3 -c 'import torch' 2>/dev/null; then
    example pytorch 0.weight
else
    echo 'skipped in part: python3 with PyTorch is not installed'
fi
finish
