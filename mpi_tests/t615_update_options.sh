#!/usr/bin/env bash
# The options of the polar factor and of the exchange's ways reach the library, config.json shows
# them, and those that change no bit change none.
# ranks: serial
# seconds: 600
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1
make_text text 4000
gpt=("${tiny_gpt[@]}" --data text)

hash_of() {
    field "$1/summary.json" parameters_hash
}

# shows RUN OPTION VALUE
shows() {
    [ "$(field "$1/config.json" "$2")" = "$3" ] || failed "$1 shows $2 $(field "$1/config.json" "$2")"
}

ranks 2 "${gpt[@]}" --run plain
expect_code 0 plain
shows plain polar-delta 0.0
shows plain shared-memory '"on"'
shows plain spread-panels '"on"'

# By messages or in a window, panels together or apart: the same bits.
for way in shared-memory spread-panels; do
    ranks 2 "${gpt[@]}" --$way off --run "$way"
    expect_code 0 "--$way off"
    shows "$way" "$way" '"off"'
    same plain "$way"
done

# Other methods give other bits, and delta matters to the one that has it.
for method in svd polar-express fast; do
    ranks 2 "${gpt[@]}" --polar $method --run $method
    expect_code 0 "--polar $method"
    shows $method polar "\"$method\""
    [ "$(hash_of $method)" != "$(hash_of plain)" ] || failed "--polar $method changes nothing"
done
ranks 2 "${gpt[@]}" --polar fast --polar-delta 0.1 --run wide
expect_code 0 '--polar-delta'
shows wide polar-delta 0.10000000000000001
[ "$(hash_of wide)" != "$(hash_of fast)" ] || failed '--polar-delta changes nothing'

# Echo weights are Muon's, compare groups, and give bits of their own, the same on any number of ranks.
ranks 2 "${gpt[@]}" --weights echo --groups 2 --run echo
expect_code 0 '--weights echo'
shows echo weights '"echo"'
[ "$(hash_of echo)" != "$(hash_of plain)" ] || failed '--weights echo changes nothing'
ranks 1 "${gpt[@]}" --weights echo --groups 2 --run echo-alone
expect_code 0 '--weights echo on one rank'
same echo echo-alone
wrong 2 '--weights: --optimizer adamw does not use it' 2 "${gpt[@]}" --optimizer adamw --weights echo
wrong 2 'no --weights echo' 2 "${gpt[@]}" --exchange allreduce --weights echo
wrong 2 'no --pipeline double-orthogonalise' 2 "${gpt[@]}" --pipeline double-orthogonalise \
    --weights echo
wrong 2 'no --correction jackknife' 2 "${gpt[@]}" --correction jackknife --weights echo

wrong 2 '--polar-delta is of --polar fast alone' 2 "${gpt[@]}" --polar-delta 0.1
wrong 2 '--polar-delta 2 is out of range' 2 "${gpt[@]}" --polar fast --polar-delta 2
wrong 2 "--polar 'slow'" 2 "${gpt[@]}" --polar slow
wrong 2 "--shared-memory 'yes'" 2 "${gpt[@]}" --shared-memory yes
finish
