#!/usr/bin/env bash
# scripts/scaling on a tiny model: records, that finished runs are kept, wrong input; and from runs
# whose times are made up: medians, phases, efficiencies, and a run that fails.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"
scripts=$(realpath "$(dirname "$0")/../scripts")

make_text "$work/text" 20000
series() {
    (cd "$scripts/.." && scripts/scaling --plumb "$PLUMB" --data "$work/text" --steps 3 \
        --ranks '1 2' --mode both --micro-batches 2 --out "$work/out" \
        --launcher "$MPIRUN -np %P" "$@" -- --layers 1 --width 16 --heads 2 --context 16)
}
series >"$work/first" 2>"$work/err" || failed 'the series failed'
[ "$(wc -l <"$work/first")" -ge 4 ] || failed 'not a record a run'
for name in seconds gradient_seconds exchange_seconds update_seconds efficiency exchange_bytes; do
    [ "$(field "$work/out/scaling.json" "$name" | wc -l)" -eq 4 ] || failed "not 4 times $name"
done
[ "$(field "$work/out/scaling.json" efficiency | head -n 1)" = 1 ] || failed 'one rank is not 1'
if command -v gnuplot >/dev/null; then
    for kind in efficiency seconds bytes; do
        [ -s "$work/out/$kind-strong.svg" ] || failed "no plot of $kind"
    done
fi
series --no-plots >"$work/second" 2>"$work/err" || failed 'the second series failed'
[ ! -s "$work/err" ] || failed 'finished runs were repeated'
series --steps 4 >"$work/second" 2>"$work/err" && failed 'other settings in the same folder'
# A step takes the micro-batches of a rank in seconds, under rank0 twice that; the first one and the
# start count for nothing, of the others one is quick and one slow.
cat >"$work/made-up" <<'TEXT'
#!/usr/bin/env bash
while [ $# -gt 0 ]; do
    case $1 in --run) run=$2 ;; --micro-batches) k=$2 ;; --owners) owners=$2 ;; esac
    shift
done
[ "$RANKS" != "${FAILING-}" ] || exit 7
mkdir -p "$run"
awk -v k="$k" -v ranks="$RANKS" -v owners="$owners" 'BEGIN {
    s = k / ranks * (owners == "rank0" ? 2 : 1)
    split("0 50 0.9 3 1", factor)
    for (t = 0; t < 5; t++) {
        now += 100 * (t == 0) + factor[t + 1] * s
        printf "{\"step\":%d,\"loss\":1.0,\"seconds\":%.9g,\"exchange_bytes\":%d,", t, now, 100 * ranks
        printf "\"exchange_seconds\":%.9g,\"update_seconds\":%.9g,\"overlap\":0.5}\n", s / 4, s / 8
    }
}' >"$run/metrics.jsonl"
TEXT
chmod +x "$work/made-up"
made_up() {
    (cd "$scripts/.." && scripts/scaling --plumb "$work/made-up" --data "$work/text" --no-plots \
        --ranks '1 2 4' --owners 'sharded rank0' --micro-batches 8 --launcher 'env RANKS=%P' "$@")
}
made_up --mode both --out "$work/known" >"$work/first" 2>"$work/err" || failed 'made-up runs'
for name in mode owners ranks micro_batches seconds gradient_seconds exchange_seconds update_seconds \
    exchange_bytes efficiency; do
    field "$work/known/scaling.json" $name >"$work/$name"
done
(cd "$work" && paste mode owners ranks micro_batches seconds gradient_seconds exchange_seconds \
    update_seconds exchange_bytes efficiency) | awk '
    function is(a, b) { if (a < b * 0.9999 || a > b * 1.0001) wrong++ }
    {
        is($4, $1 ~ /weak/ ? 8 * $3 : 8)
        s = $4 / $3 * ($2 ~ /rank0/ ? 2 : 1)
        is($5, s); is($6, s * 5 / 8); is($7, s / 4); is($8, s / 8); is($9, 100 * $3); is($10, 1)
    }
    END { exit NR != 12 || wrong > 0 }' || failed "made-up times: $(cat "$work/known/scaling.json")"
FAILING=2 made_up --mode strong --out "$work/failing" >"$work/first" 2>"$work/err" &&
    failed 'a run that fails is no failure'
grep -q 'ended with 7' "$work/err" || failed "a run that fails: $(cat "$work/err")"

"$scripts/scaling" --help | grep -q -- --launcher || failed 'no help'
"$scripts/scaling" --mode none 2>"$work/err" && failed 'a wrong mode'
"$scripts/scaling" --ranks x 2>"$work/err" && failed 'wrong ranks'
finish
