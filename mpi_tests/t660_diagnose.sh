#!/usr/bin/env bash
# plumb diagnose on files whose truth is known: every number within its stated error, in isotropic
# and anisotropic noise and with unequal micro-batches; the same JSON to the byte at 1, 2 and 3
# ranks, whole and in stretches.
# ranks: serial
# seconds: 300
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
"$PLUMB" diagnose --help >/dev/null || exit 77 # WITH_HDF5=0
root=$(cd "$(dirname "$0")/.." && pwd)
fixture=${BUILD:-$root/build}/tools/noise_fixture
cd "$work" || exit 1

# value FILE NAME SECTION KEY: of a parameter, or of `total`. Steps are left out.
value() {
    awk -v name="$2" -v section="$3" -v key="$4" '
        /^  "steps": \[/ { exit }
        /^  "total": \{/ { here = name == "total" }
        /^  "batch": \{/ { here = 0 }
        /^      "name": / { split($0, part, "\""); here = part[4] == name }
        /": \{$/ { split($0, part, "\""); inside = part[2] }
        here && inside == section && index($0, "\"" key "\": ") {
            sub(/.*": /, ""); sub(/,$/, ""); print; exit
        }' "$1"
}

# numbers FILE NAME KEY: of a parameter's directions, one a line.
numbers() {
    awk -v name="$2" -v key="$3" '
        /^  "steps": \[/ { exit }
        /^      "name": / { split($0, part, "\""); here = part[4] == name }
        here && /^          / && index($0, "\"" key "\": ") {
            sub(/.*": /, ""); sub(/,$/, ""); print
        }' "$1"
}

# near WHAT VALUE TRUTH TOLERANCE
near() {
    awk -v value="$2" -v truth="$3" -v most="$4" 'BEGIN {
        d = value - truth
        exit !(value ~ /^-?[0-9]/ && d <= most && -d <= most)
    }' || failed "$1 is $2, expected $3 to $4"
}

# within WHAT VALUE ERROR TRUTH MOST: at most 4.5 standard errors away, and these below MOST.
within() {
    awk -v error="$3" -v most="$5" 'BEGIN { exit !(error > 0 && error < most) }' ||
        failed "the error of $1 is $3, expected up to $5"
    near "$1" "$2" "$4" "$(awk -v error="$3" 'BEGIN { print 4.5 * error }')"
}

# everywhere NAME ARGUMENT...: NAME.json, the same at 1, 2 and 3 ranks.
everywhere() {
    local name=$1 count
    shift
    for count in 1 2 3; do
        ranks $count diagnose "$@" --json
        expect_code 0 "$name at $count ranks"
        [ $count = 1 ] && cp out "$name.json"
        cmp -s out "$name.json" || failed "$name: other output at $count ranks"
        [ ! -s err ] || failed "$name: something on standard error"
    done
}

# Noise of each parameter and of all against what was planted.
noise() {
    local name trace signal part
    while read -r name trace signal; do
        part=$(awk -v trace="$trace" 'BEGIN { print trace / 6 }')
        within "$1: trace of $name" "$(value "$1.json" "$name" noise trace)" \
            "$(value "$1.json" "$name" noise trace_error)" "$trace" "$part"
        within "$1: signal of $name" "$(value "$1.json" "$name" noise signal)" \
            "$(value "$1.json" "$name" noise signal_error)" "$signal" \
            "$(awk -v s="$signal" 'BEGIN { print s / 3 }')"
        within "$1: scale of $name" "$(value "$1.json" "$name" noise scale)" \
            "$(value "$1.json" "$name" noise scale_error)" \
            "$(awk -v t="$trace" -v s="$signal" 'BEGIN { print t / s }')" \
            "$(awk -v t="$trace" -v s="$signal" 'BEGIN { print t / s / 3 }')"
    done < <(awk '{ print; t += $2; s += $3 } END { print "total", t, s }' "$1.truth")
}

for kind in isotropic anisotropic unequal one-step; do
    "$fixture" $kind $kind.h5 >$kind.truth || failed "no fixture $kind"
done
for kind in isotropic anisotropic unequal; do
    everywhere $kind $kind.h5
    noise $kind
done

# Equal and isotropic: the plain variance, the law, the expansion and its closed form.
j=isotropic.json
for estimator in mean pairwise; do
    near "variance, $estimator" "$(value $j flat variance $estimator)" 0.015625 0.0006
done
# The law of echo for singular values 6, 3, 1.5 in 48 x 72 of variance 1/64.
law() {
    awk -v s="$1" 'BEGIN {
        m = 48; n = 72; v = 1 / 64
        print (s ^ 4 - m * n * v ^ 2) / (s ^ 2 * sqrt((s ^ 2 + m * v) * (s ^ 2 + n * v)))
    }'
}
i=0
for s in 6 3 1.5; do
    i=$((i + 1))
    near "true singular value $i" "$(numbers $j flat signal | sed -n ${i}p)" $s 0.5
    near "echo $i" "$(numbers $j flat echo | sed -n ${i}p)" "$(law $s)" 0.15
    near "plug-in echo $i" "$(numbers $j flat plug_in_echo | sed -n ${i}p)" "$(law $s)" 0.15
    observed=$(numbers $j flat observed | sed -n ${i}p)
    signal=$(numbers $j flat plug_in_signal | sed -n ${i}p)
    echo=$(numbers $j flat plug_in_echo | sed -n ${i}p)
    near "shrunk value $i" "$(numbers $j flat shrunk_frobenius | sed -n ${i}p)" \
        "$(awk -v s="$signal" -v e="$echo" 'BEGIN { print s * e }')" 0.05
    awk -v o="$observed" -v s="$signal" 'BEGIN { exit !(o > s) }' ||
        failed "value $i is not inflated"
done
near 'echo 4' "$(numbers $j flat echo | sed -n 4p)" 0 0.35
near 'directions of flat' "$(value $j flat echo above_half)" 3 0.5
[ "$(numbers $j flat echo | grep -c .)" -eq 16 ] || failed 'not 16 directions are shown'
near 'threshold' "$(value $j flat echo threshold)" 0.958 0.02

# b_i of 12 x 8 with singular values 6 0.9^i: mean and sum of squares.
read -r mean squares <<<"$(awk 'BEGIN {
    for (i = 0; i < 8; i++) s[i] = 6 * 0.9 ^ i
    for (i = 0; i < 8; i++) {
        b = 4 / (2 * s[i] ^ 2)
        for (k = 0; k < 8; k++) if (k != i) b += 1 / (s[i] + s[k]) ^ 2
        mean += b / 8
        squares += b ^ 2
    }
    print mean, squares
}')"
near 'Richardson coefficient' "$(value $j full richardson along_update)" "-$mean" \
    "$(awk -v m="$mean" 'BEGIN { print 0.15 * m }')"
within 'bias of a group' "$(value $j full update bias)" "$(value $j full update bias_error)" \
    "$(awk -v s="$squares" 'BEGIN { print s / 16 }')" 0.01
bias=$(awk -v s="$squares" 'BEGIN { print s / 64 ^ 2 }')
near 'closed form' "$(value $j full isotropic squared_bias)" "$bias" \
    "$(awk -v b="$bias" 'BEGIN { print 0.2 * b }')"
near 'expansion' "$(value $j full expansion squared_bias)" "$bias" \
    "$(awk -v b="$bias" 'BEGIN { print 0.4 * b }')"
[ "$(value $j flat expansion squared_bias)" = null ] || failed 'the expansion in too large a noise'
near 'ratio' "$(value $j full update ratio)" \
    "$(awk -v b="$(value $j full update step_bias)" \
        -v v="$(value $j full update step_variance)" 'BEGIN { printf "%.12g", b / v }')" 1e-9

# Noise that is larger in some rows: the law does not know, cross-validation does.
j=anisotropic.json
awk -v cv="$(numbers $j flat echo | sed -n 3p)" \
    -v law="$(numbers $j flat plug_in_echo | sed -n 3p)" 'BEGIN { exit !(cv < law - 0.1) }' ||
    failed 'the law and cross-validation agree on noise'

# Unequal samples: what needs equal ones is not available; merged to equal groups it is.
j=unequal.json
[ "$(value $j flat echo mean)" = null ] || failed 'an echo of unequal groups'
[ "$(value $j full update bias)" = null ] || failed 'a bias of unequal groups'
grep -q 'groups differ in samples' $j || failed 'no reason'
[ "$(value $j full nuclear scale)" != null ] || failed 'no nuclear noise scale of unequal groups'
everywhere merged unequal.h5 --groups 4
[ "$(value merged.json flat echo mean)" != null ] || failed 'no echo of equal groups'
cp unequal.truth merged.truth
noise merged
[ "$(value merged.json flat noise trace)" != "$(value $j flat noise trace)" ] || failed 'not merged'

# A parameter larger than --memory: the same noise, no spectra, and it says why.
ranks 2 diagnose isotropic.h5 --memory 1 --json
expect_code 0 'in stretches'
for key in trace trace_error signal scale plateau squared_norm; do
    [ "$(value out embedding noise $key)" = "$(value isotropic.json embedding noise $key)" ] ||
        failed "another $key in stretches"
done
[ "$(value out embedding echo mean)" = null ] || failed 'an echo in stretches'
[ "$(value out flat echo mean)" != null ] || failed 'no echo of what fits'
grep -q 'larger than --memory' out || failed 'no reason'

# Steps: one of them, each of them, a file without the dimension.
ranks 2 diagnose isotropic.h5 --json --each-step --parameters full,vector
expect_code 0 'each step'
third=$(grep -A 3 '"name": "full"' out | grep -c .)
[ "$third" -ge 20 ] || failed 'not every step has its parameters'
traces=$(awk '/^  "steps"/ { on = 1 } on && /"name": "full"/ { getline; getline; getline; getline;
    getline; getline; sub(/.*: /, ""); sub(/,$/, ""); print }' out)
[ "$(wc -l <<<"$traces")" -eq 4 ] || failed 'not four steps'
ranks 1 diagnose isotropic.h5 --json --parameters full --first-step 2 --last-step 2
expect_code 0 'one step'
[ "$(value out full noise trace)" = "$(sed -n 2p <<<"$traces")" ] || failed 'another step 2'
[ "$(value out total noise trace)" = "$(value out full noise trace)" ] || failed 'another total'
ranks 2 diagnose one-step.h5 --json
expect_code 0 'a file of one step'
cp out one-step.json
noise one-step

# What a batch is worth, and the finite population.
ranks 1 diagnose isotropic.h5 --json --parameters full --learning-rate 0.02 --beta1 0.9 \
    --other-samples 256 --update plain
expect_code 0 'a learning rate'
near temperature "$(field out temperature)" 0.003125 1e-9
near 'linear rate' "$(field out linear_rate)" 0.08 1e-9
near 'root rate' "$(field out square_root_rate)" 0.04 1e-9
whole=$(value out full noise plateau)
ranks 1 diagnose isotropic.h5 --json --parameters full --population 64
near 'the whole data set' "$(value out full noise plateau)" 1 1e-12
awk -v a="$whole" 'BEGIN { exit !(a < 0.999) }' || failed 'the population moves no plateau'

# Methods, and the table for people.
for method in plug-in reverb; do
    ranks 2 diagnose isotropic.h5 --json --echo-method $method --parameters full,flat
    expect_code 0 "--echo-method $method"
    near "$method" "$(numbers out flat echo | sed -n 1p)" "$(law 6)" 0.1
done
ranks 1 diagnose isotropic.h5 --json --whiten --folds 4 --parameters full
expect_code 0 '--whiten'
ranks 2 diagnose isotropic.h5 --layers --each-step
expect_code 0 table
awk 'length > 100 { exit 1 }' out || failed 'a line of more than 100 columns'
for text in 'noise scale' 'Advice' '^step 3' 'Frobenius' '^all'; do
    grep -q "$text" out || failed "no '$text' in the table"
done
# Totals of one step: ratios of sums, errors added as squares, echoes by directions.
"${fixture%/*}/gradient_fixture" good totals.h5 || failed 'no fixture good'
ranks 1 diagnose totals.h5 --last-step 1 --json
expect_code 0 totals
python3 - <<'PYTHON' || failed 'the total is not made of its parameters'
import json, math
result = json.load(open("out"))
total, groups = result["total"]["update"], result["groups"]
matrices = [p for p in result["parameters"] if p["update"]["variance"] is not None]
def near(a, b):
    assert math.isclose(a, b, rel_tol=1e-9), (a, b)
assert groups == 8 and matrices
for name in "variance", "bias", "step_bias", "step_variance":
    near(total[name], sum(p["update"][name] for p in matrices))
for name in "variance_error", "bias_error":
    near(total[name], math.hypot(*(p["update"][name] for p in matrices)))
near(total["ratio"], total["step_bias"] / total["step_variance"])
near(total["streamed_ratio"], groups * total["bias"] / total["variance"])
near(total["ratio_error"], math.hypot(total["bias_error"] / groups ** 2 / total["step_variance"],
                                      total["ratio"] * total["variance_error"] / total["variance"]))
echo = result["total"]["echo"]
near(echo["directions"], sum(p["echo"]["directions"] for p in matrices))
near(echo["mean"] * echo["directions"],
     sum(p["echo"]["mean"] * p["echo"]["directions"] for p in matrices))
PYTHON
finish
