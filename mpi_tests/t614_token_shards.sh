#!/usr/bin/env bash
# Training on token shards: the same bytes as text and as shards give the same bits, a vocabulary
# of GPT-2's size trains on any number of ranks, and broken shards end with one clear line.
# ranks: serial
# seconds: 600
# shellcheck disable=SC1091,SC2154,SC2034 # names from and for program.sh
convert=$(realpath "$(dirname "$0")/../scripts/text-to-shards")
. "$(dirname "$0")/support/program.sh"
cd "$work" || exit 1

make_text text 4000
mkdir shards
"$convert" text one.bin
"$convert" --format llama-3 text shards/part-1.bin shards/part-2.bin shards/part-3.bin

# The same data, whichever way it comes.
ranks 1 "${tiny_gpt[@]}" --data text --run as-text
expect_code 0 'text'
for data in one.bin shards 'shards/part-*.bin'; do
    ranks 2 "${tiny_gpt[@]}" --data "$data" --vocabulary 256 --run "as-$(basename "$data")"
    expect_code 0 "$data"
    same as-text "as-$(basename "$data")"
done
head -c 3600 text >first && tail -c 400 text >last
"$convert" first first.bin
"$convert" last last.bin
ranks 2 "${tiny_gpt[@]}" --data first.bin --held-out-data last.bin --vocabulary 256 --run apart
expect_code 0 'held-out data of its own'
same as-text apart

# The vocabulary of the data: the largest letter is below 128, the shifted ones are not.
"$convert" --add 1000 text above.bin
ranks 1 "${tiny_gpt[@]}" --data one.bin --run own
[ "$(field own/config.json rows | head -n 1)" = 128 ] || failed 'the vocabulary of one.bin is not 128'
ranks 1 "${tiny_gpt[@]}" --data above.bin --run own-above
[ "$(field own-above/config.json rows | head -n 1)" = 1152 ] ||
    failed 'the vocabulary of above.bin is not 1152'

# GPT-2's.
for count in 1 2 4; do
    ranks $count "${tiny_gpt[@]}" --data above.bin --vocabulary 50257 --steps 2 --run gpt2-$count \
        --save-parameters no
    expect_code 0 "GPT-2's vocabulary on $count ranks"
    same gpt2-1 gpt2-$count
done
[ "$(field gpt2-1/config.json rows | head -n 1)" = 50257 ] || failed 'the vocabulary is not 50257'

# What is wrong is named, with its place.
head -c 1200 one.bin >short.bin
wrong 3 'short.bin is truncated' 2 "${tiny_gpt[@]}" --data short.bin
cp text noshard.bin
wrong 3 'noshard.bin is no token shard: at byte 0' 2 "${tiny_gpt[@]}" --data noshard.bin
wrong 3 'above.bin: token number 0, at byte 1024, is 10' 2 "${tiny_gpt[@]}" --data above.bin \
    --vocabulary 512
wrong 3 'missing.bin: No such file' 2 "${tiny_gpt[@]}" --data missing.bin
mkdir empty
wrong 3 'empty: no token shard' 2 "${tiny_gpt[@]}" --data empty
wrong 3 'nowhere-\*.bin: no token shard' 2 "${tiny_gpt[@]}" --data 'nowhere-*.bin'
wrong 3 'one.bin.*must both be' 2 "${tiny_gpt[@]}" --data text --held-out-data one.bin
wrong 2 '--vocabulary 100 is below the 256 of a text' 2 "${tiny_gpt[@]}" --data text --vocabulary 100
wrong 2 '--generate is of text' 2 "${tiny_gpt[@]}" --data one.bin --generate 10
wrong 2 '--noise is of text' 2 "${tiny_gpt[@]}" --data one.bin --noise 0.1
make_images images
wrong 2 '--vocabulary is of --model gpt' 2 "${tiny_mlp[@]}" --data images --vocabulary 300
wrong 2 '--held-out-data is of --model gpt' 2 "${tiny_mlp[@]}" --data images --held-out-data text
finish
