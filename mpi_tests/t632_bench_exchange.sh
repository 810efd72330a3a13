#!/usr/bin/env bash
# plumb bench exchange on small payloads: every way in JSON and table, its bytes, and wrong input.
# The bench itself checks that all ways bring the mean.
# ranks: serial
# shellcheck disable=SC1091,SC2154 # names from program.sh
. "$(dirname "$0")/support/program.sh"

exchange=(bench exchange --seconds 0)

# check_fields FILE COUNT: COUNT sizes with six ways each, numbers in order and positive.
check_fields() {
    [ "$(field "$1" bench)" = '"exchange"' ] || failed 'the JSON does not say what it is'
    [ "$(field "$1" rounds | wc -l)" -eq "$2" ] || failed "not $2 sizes"
    local name
    for name in way seconds ratio ratio_lower_quartile ratio_upper_quartile exchange_bytes \
        exchange_bytes_over_ring; do
        [ "$(field "$1" $name | wc -l)" -eq $(($2 * 6)) ] || failed "not 6 x $2 times $name"
    done
    paste <(field "$1" ratio_lower_quartile) <(field "$1" ratio) \
        <(field "$1" ratio_upper_quartile) |
        awk '!($1 > 0 && $1 <= $2 && $2 <= $3 && $3 < 1e9) { exit 1 }' ||
        failed 'ratios are not positive and in order'
    field "$1" seconds | awk '!($1 > 0 && $1 < 100) { exit 1 }' || failed 'seconds make no sense'
}

# On two ranks the transposed exchange sends what a ring does, and there are goals at known sizes.
ranks 2 "${exchange[@]}" --sizes 4KiB,65536,1MiB --json
missed=$(grep -c '"verdict": "missed"' "$work/out")
expect_code $((missed > 0)) "$missed goals missed"
[ "$(grep -c '"verdict"' "$work/out")" -eq 2 ] || failed 'not two goals at 64 KiB and 1 MiB'
check_fields "$work/out" 3
[ "$(field "$work/out" bytes | tr '\n' ' ')" = '4096 65536 1048576 ' ] || failed 'other sizes'
field "$work/out" exchange_bytes_over_ring | awk 'NR % 6 != 4 && !($1 > 0.99 && $1 < 1.02) {
    exit 1 }' || failed "bytes: $(field "$work/out" exchange_bytes_over_ring | tr '\n' ' ')"

# Other ranks, owners, transports and parameters: reported without goals.
for options in '--owners rank0' '--shared-memory off' '--parameters 7'; do
    # shellcheck disable=SC2086 # words
    ranks 3 "${exchange[@]}" --sizes 1000,64KiB --json $options
    expect_code 0 "bench exchange $options"
    check_fields "$work/out" 2
    grep -q '"verdict"' "$work/out" && failed "goals with $options on 3 ranks"
done

ranks 2 "${exchange[@]}" --sizes 8KiB --progress always
expect_code 0 'bench exchange as a table'
for way in MPI_Allreduce 'gradient buffers' accumulate 'exchange allreduce' step reduce-scatter; do
    grep -q "^ *8  $way " "$work/out" || failed "no row $way in the table"
done
grep -q '^step *1/1' "$work/err" || failed 'no progress on standard error'

wrong 2 'an exchange needs two ranks' 1 "${exchange[@]}"
for sizes in 3 0KiB 64KB '64KiB,' ,64KiB 1e6 -4KiB 9000000000 99999999999999999999MiB; do
    wrong 2 "sizes '$sizes'" 2 "${exchange[@]}" --sizes "$sizes"
done
wrong 2 'less than a float for each of 9 --parameters' 2 "${exchange[@]}" --sizes 32 --parameters 9
wrong 2 'is none of rank0, sharded' 2 "${exchange[@]}" --owners all
wrong 2 'did you mean --sizes' 2 bench exchange --size 4KiB
ranks 2 bench exchange --help
expect_code 0 'bench exchange --help'
[ "$(grep -c '^Usage' "$work/out")" -eq 1 ] || failed 'help is not printed once'
finish
