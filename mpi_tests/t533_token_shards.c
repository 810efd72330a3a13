/*
 * Token shards: both formats, several files as one sequence, what is found where, and what is
 * refused.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include "support/test.h"
#include "workload/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { GPT2 = 20240520, LLAMA3 = 20240801 };

static char folder[64];

static void make_folder(void)
{
    snprintf(folder, sizeof folder, "/tmp/plumb-shards-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name)
{
    static char paths[4][128];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* The token at `position`, above what 8 bits hold, and for Llama 3 above what 16 do. */
static uint32_t token_at(int magic, int64_t position)
{
    uint32_t token = (uint32_t)(position * position + 7 * position) % 50257;
    return magic == LLAMA3 ? token + 70000 : token;
}

static void put(FILE *file, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        fputc((int)(value >> 8 * i & 255), file);
    }
}

/* Tokens [first, first + count), of which the header says `said`. */
static void write_shard(const char *name, int magic, int64_t first, int64_t count, uint32_t said)
{
    FILE *file = fopen(path_of(name), "wb");
    ck_assert_ptr_nonnull(file);
    put(file, (uint32_t)magic, 4);
    put(file, magic == GPT2 ? 1 : 7, 4);
    put(file, said, 4);
    for (int i = 3; i < 256; i++) {
        put(file, 0, 4);
    }
    for (int64_t i = first; i < first + count; i++) {
        put(file, token_at(magic, i), magic == GPT2 ? 2 : 4);
    }
    fclose(file);
}

static void expect_tokens(const text *data, int magic, int64_t start, int64_t count)
{
    int32_t *tokens = malloc((size_t)count * sizeof *tokens);
    char message[512] = "";
    int failed = text_tokens(data, start, count, tokens, message, sizeof message);
    ck_assert_msg(failed == 0, "%s", message);
    bool same = true;
    for (int64_t i = 0; i < count; i++) {
        same = same && tokens[i] == (int32_t)token_at(magic, start + i);
    }
    ck_assert(same);
    free(tokens);
}

static void open_data(const char *path, const char *held_out, int64_t vocabulary, text *data)
{
    char message[512] = "";
    int failed = text_open(path, held_out, vocabulary, data, message, sizeof message);
    ck_assert_msg(failed == 0, "%s", message);
}

START_TEST(reads_both_formats)
{
    const int magics[] = {GPT2, LLAMA3};
    make_folder();
    for (int i = 0; i < 2; i++) {
        text data;
        write_shard("one.bin", magics[i], 0, 9001, 9001);
        open_data(path_of("one.bin"), NULL, 0, &data);
        ck_assert_int_eq(data.count, 9001);
        ck_assert_int_eq(data.training, 8101);
        ck_assert(!text_has_bytes(&data));
        ck_assert_int_eq(text_vocabulary(&data) % 128, 0);
        expect_tokens(&data, magics[i], 0, 9001);
        expect_tokens(&data, magics[i], 9000, 1);
        text_free(&data);
        ck_assert_int_eq(data.count, 0);
    }
    remove_folder();
}
END_TEST

/* The largest token itself decides: 127 needs 128, 128 needs 256. */
START_TEST(vocabulary_follows_the_largest_token)
{
    make_folder();
    for (uint32_t largest = 126; largest < 131; largest++) {
        text data;
        write_shard("one.bin", GPT2, 0, 40, 60);
        FILE *file = fopen(path_of("one.bin"), "ab");
        for (uint32_t i = 0; i < 20; i++) {
            put(file, i == 13 ? largest : 5, 2);
        }
        fclose(file);
        file = fopen(path_of("one.bin"), "rb+"); /* and nothing larger before */
        fseek(file, 1024, SEEK_SET);
        for (int i = 0; i < 40; i++) {
            put(file, 3, 2);
        }
        fclose(file);
        open_data(path_of("one.bin"), NULL, 0, &data);
        ck_assert_int_eq(text_vocabulary(&data), largest < 128 ? 128 : 256);
        text_free(&data);
    }
    remove_folder();
}
END_TEST

/* Every range over the borders of three shards, however they are named. */
START_TEST(shards_are_one_sequence)
{
    make_folder();
    write_shard("train_1.bin", GPT2, 0, 17, 17);
    write_shard("train_10.bin", GPT2, 17, 1, 1);
    write_shard("train_2.bin", GPT2, 18, 30, 30);
    char pattern[128];
    snprintf(pattern, sizeof pattern, "%s/train_*.bin", folder);
    const char *const ways[] = {folder, pattern};
    uint64_t hashes[2];
    for (int way = 0; way < 2; way++) {
        text data;
        open_data(ways[way], NULL, 50257, &data);
        ck_assert_int_eq(data.count, 48);
        ck_assert_int_eq(data.training, 44);
        ck_assert_int_eq(data.shards.shard_count, 3);
        for (int64_t start = 0; start < 48; start++) {
            for (int64_t count = 1; start + count <= 48; count++) {
                expect_tokens(&data, GPT2, start, count);
            }
        }
        hashes[way] = text_hash(&data);
        text_free(&data);
    }
    ck_assert_uint_eq(hashes[0], hashes[1]);
    remove_folder();
}
END_TEST

START_TEST(held_out_shards_come_last)
{
    text data;
    make_folder();
    write_shard("train.bin", GPT2, 0, 100, 100);
    write_shard("val.bin", GPT2, 100, 23, 23);
    open_data(path_of("train.bin"), path_of("val.bin"), 0, &data);
    ck_assert_int_eq(data.count, 123);
    ck_assert_int_eq(data.training, 100);
    ck_assert_int_eq(text_sequences(&data, 10), 90);
    ck_assert_int_eq(text_windows(&data, 10), 2);
    ck_assert_int_eq(text_window(&data, 10, 1), 110);
    expect_tokens(&data, GPT2, 0, 123);
    text_free(&data);
    remove_folder();
}
END_TEST

/* A text may have held-out data of its own, too. */
START_TEST(held_out_texts_come_last)
{
    text data;
    make_folder();
    const char *const names[] = {"train", "val"};
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(path_of(names[i]), "wb");
        fputs(i == 0 ? "abcdef" : "XYZ", file);
        fclose(file);
    }
    open_data(path_of("train"), path_of("val"), 0, &data);
    ck_assert_int_eq(data.count, 9);
    ck_assert_int_eq(data.training, 6);
    ck_assert_int_eq(text_vocabulary(&data), 256);
    ck_assert_mem_eq(data.bytes, "abcdefXYZ", 9);
    text_free(&data);
    remove_folder();
}
END_TEST

START_TEST(hash_sees_every_part_of_small_shards)
{
    make_folder();
    uint64_t first = 0;
    for (int change = 0; change < 4; change++) {
        text data;
        write_shard("one.bin", GPT2, 0, 5000, 5000);
        FILE *file = fopen(path_of("one.bin"), "rb+");
        fseek(file, 1024 + 2 * (change == 1 ? 0 : change == 2 ? 2500 : 4999), SEEK_SET);
        if (change > 0) {
            put(file, 49999, 2);
        }
        fclose(file);
        open_data(path_of("one.bin"), NULL, 0, &data);
        if (change == 0) {
            first = text_hash(&data);
        } else {
            ck_assert_uint_ne(text_hash(&data), first);
        }
        text_free(&data);
    }
    remove_folder();
}
END_TEST

static void expect_refusal(const char *path, const char *held_out, int64_t vocabulary,
                           const char *first, const char *second)
{
    text data;
    char message[512] = "";
    ck_assert_int_eq(text_open(path, held_out, vocabulary, &data, message, sizeof message), 1);
    ck_assert_msg(strstr(message, first) != NULL, "no '%s' in: %s", first, message);
    ck_assert_msg(strstr(message, second) != NULL, "no '%s' in: %s", second, message);
    ck_assert_ptr_null(strchr(message, '\n'));
    ck_assert_int_eq(data.shards.shard_count, 0);
    ck_assert_ptr_null(data.bytes);
}

START_TEST(refuses_broken_shards)
{
    make_folder();
    char path[128];
    snprintf(path, sizeof path, "%s", path_of("bad.bin"));
    expect_refusal(path, NULL, 0, path, "No such file");
    expect_refusal(folder, NULL, 0, folder, "no token shard");
    fclose(fopen(path, "wb"));
    expect_refusal(path, NULL, 0, path, "truncated: it has 0 bytes");
    write_shard("bad.bin", GPT2, 0, 50, 51);
    expect_refusal(path, NULL, 0, path, "truncated: it has 1124 bytes");
    write_shard("bad.bin", GPT2, 0, 50, 49);
    expect_refusal(path, NULL, 0, path, "too long");
    write_shard("bad.bin", LLAMA3, 0, 50, 50 + (UINT32_C(1) << 30));
    expect_refusal(path, NULL, 0, path, "truncated");
    write_shard("bad.bin", GPT2, 0, 0, 0);
    expect_refusal(path, NULL, 0, path, "has 0 tokens");
    write_shard("bad.bin", GPT2, 0, 0, UINT32_MAX);
    expect_refusal(path, NULL, 0, path, "tokens, says its header");
    write_shard("bad.bin", GPT2 + 2, 0, 50, 50);
    expect_refusal(path, NULL, 0, path, "at byte 0 it has magic number 20240522");
    /* One bad shard among good ones. */
    write_shard("good.bin", GPT2, 0, 50, 50);
    expect_refusal(folder, NULL, 0, path, "magic");
    remove_folder();
}
END_TEST

START_TEST(refuses_tokens_beyond_the_vocabulary)
{
    make_folder();
    write_shard("a.bin", GPT2, 0, 50, 50);
    write_shard("b.bin", GPT2, 0, 50, 50);
    FILE *file = fopen(path_of("b.bin"), "rb+");
    fseek(file, 1024 + 2 * 31, SEEK_SET);
    put(file, 60000, 2);
    fclose(file);
    expect_refusal(folder, NULL, 50257, "/b.bin",
                   "token number 31, at byte 1086, is 60000, which a vocabulary of 50257");
    text data;
    open_data(folder, NULL, 60001, &data);
    text_free(&data);
    write_shard("c.bin", LLAMA3, 0, 50, 50);
    file = fopen(path_of("c.bin"), "rb+");
    fseek(file, 1024, SEEK_SET);
    put(file, UINT32_MAX, 4);
    fclose(file);
    expect_refusal(path_of("c.bin"), NULL, 0, "token number 0, at byte 1024, is 4294967295",
                   "1048576");
    remove_folder();
}
END_TEST

START_TEST(refuses_mixed_data)
{
    make_folder();
    write_shard("a.bin", GPT2, 0, 50, 50);
    fclose(fopen(path_of("text"), "wb"));
    expect_refusal(path_of("a.bin"), path_of("text"), 0, "a.bin", "both");
    expect_refusal(path_of("text"), path_of("a.bin"), 0, "a.bin", "both");
    remove_folder();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("token_shards");
    test_add(suite, "reads_both_formats", reads_both_formats);
    test_add(suite, "vocabulary_follows_the_largest_token", vocabulary_follows_the_largest_token);
    test_add(suite, "shards_are_one_sequence", shards_are_one_sequence);
    test_add(suite, "held_out_shards_come_last", held_out_shards_come_last);
    test_add(suite, "held_out_texts_come_last", held_out_texts_come_last);
    test_add(suite, "hash_sees_every_part_of_small_shards", hash_sees_every_part_of_small_shards);
    test_add(suite, "refuses_broken_shards", refuses_broken_shards);
    test_add(suite, "refuses_tokens_beyond_the_vocabulary", refuses_tokens_beyond_the_vocabulary);
    test_add(suite, "refuses_mixed_data", refuses_mixed_data);
    return test_run(suite);
}
