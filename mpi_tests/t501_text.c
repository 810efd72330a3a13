/*
 * Texts as training data: reading any bytes, the split, the windows, noise, and what is refused.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include "support/reference_gpt_fixture.h"
#include "support/test.h"
#include "workload/random.h"
#include "workload/text.h"
#include "workload/text_noise.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

START_TEST(reads_every_byte)
{
    fixture_text file = fixture_text_create(3000);
    text data;
    char message[256];
    ck_assert_int_eq(text_read(file.path, &data, message, sizeof message), 0);
    ck_assert_int_eq(data.count, 3000);
    ck_assert_int_eq(data.training, 2700);
    ck_assert_mem_eq(data.bytes, file.bytes, 3000);
    text_free(&data);
    ck_assert_ptr_null(data.bytes);
    fixture_text_remove(&file);
}
END_TEST

START_TEST(reads_more_than_a_buffer)
{
    fixture_text file = fixture_text_create(((int64_t)2 << 20) + 17);
    text data;
    char message[256];
    ck_assert_int_eq(text_read(file.path, &data, message, sizeof message), 0);
    ck_assert_int_eq(data.count, file.count);
    ck_assert_mem_eq(data.bytes, file.bytes, (size_t)file.count);
    text_free(&data);
    fixture_text_remove(&file);
}
END_TEST

/* Every byte of the last tenth after its first is predicted once, up to the rest of a window. */
START_TEST(windows_cover_the_last_tenth_once)
{
    for (int64_t count = 1; count < 700; count += 3) {
        for (int64_t context = 2; context < 12; context++) {
            text data = {
                .bytes = malloc((size_t)count), .count = count, .training = count - count / 10};
            int predicted[100] = {0};
            int64_t windows = text_windows(&data, context);
            for (int64_t window = 0; window < windows; window++) {
                int64_t first = text_window(&data, context, window);
                for (int64_t i = 1; i <= context; i++) {
                    predicted[first + i - data.training]++;
                }
            }
            int64_t held_out = count / 10;
            bool right = true;
            for (int64_t i = 0; i < 100; i++) {
                bool wanted = i >= 1 && i < held_out && i <= windows * context;
                right = right && predicted[i] == wanted;
            }
            ck_assert(right);
            ck_assert_int_lt(held_out - 1 - windows * context, context);
            text_free(&data);
        }
    }
}
END_TEST

START_TEST(counts_training_sequences)
{
    text data = {.count = 100, .training = 90};
    ck_assert_int_eq(text_sequences(&data, 89), 1);
    ck_assert_int_eq(text_sequences(&data, 90), 0);
    ck_assert_int_eq(text_sequences(&data, 200), 0);
    ck_assert_int_eq(text_sequences(&data, 2), 88);
}
END_TEST

static void expect_refusal(const char *path, const char *reason)
{
    text data;
    char message[512] = "";
    ck_assert_int_eq(text_read(path, &data, message, sizeof message), 1);
    ck_assert_msg(strstr(message, path) != NULL, "no path in: %s", message);
    ck_assert_msg(strstr(message, reason) != NULL, "no reason in: %s", message);
    ck_assert_ptr_null(strchr(message, '\n'));
    ck_assert_ptr_null(data.bytes);
}

/* Bytes without any order, so that a few of them tell where they come from. */
static text random_text(int64_t count)
{
    text data = {.bytes = malloc((size_t)count), .count = count, .training = count - count / 10};
    for (int64_t i = 0; i < count; i++) {
        data.bytes[i] = (unsigned char)random_bits(5, RANDOM_INITIAL_VALUES, 0, 0, (uint64_t)i);
    }
    return data;
}

START_TEST(noise_takes_a_fifth_to_two_fifths)
{
    for (int64_t count = 2; count < 20000; count += 13) {
        int64_t least, most, blocks = text_noise_blocks(count, &least, &most);
        ck_assert_int_eq(blocks, (count + 63) / 64);
        ck_assert(least >= 1 && least <= most && most <= blocks);
        ck_assert(5 * least >= blocks && 5 * (least - 1) < blocks);
        ck_assert(blocks < 3 ? most == 1 : 5 * most <= 2 * blocks && 5 * (most + 1) > 2 * blocks);
    }
}
END_TEST

/* The first place of the training text that does not touch the block's own and has its bytes, as
 * a fraction of the text; negative if there is none. */
static double find_elsewhere(const text *data, int64_t own, int64_t size,
                             const unsigned char *block)
{
    for (int64_t place = 0; place + size <= data->training; place++) {
        bool apart = place + size <= own || place >= own + size;
        if (apart && memcmp(data->bytes + place, block, (size_t)size) == 0) {
            return (double)place / (double)(data->training - size);
        }
    }
    return -1.0;
}

/* Sequences that were hit, and how often each block was. */
typedef struct noise_counts {
    double hit, blocks, places, each[16];
} noise_counts;

static void count_changes(const text *data, int64_t start, int64_t count,
                          const unsigned char *bytes, noise_counts *counts)
{
    int64_t least, most, changed = 0, blocks = text_noise_blocks(count, &least, &most);
    for (int64_t block = 0; block < blocks; block++) {
        int64_t at = 64 * block, size = count - at < 64 ? count - at : 64;
        if (memcmp(bytes + at, data->bytes + start + at, (size_t)size) != 0) {
            double place = find_elsewhere(data, start + at, size, bytes + at);
            ck_assert_double_ge(place, 0.0);
            counts->places += place;
            counts->each[block] += 1.0;
            changed++;
        }
    }
    ck_assert(changed == 0 || (changed >= least && changed <= most));
    counts->hit += changed > 0;
    counts->blocks += (double)changed;
}

/* The share of sequences, the number of blocks and their places, each within four standard
 * errors; all changed blocks come from elsewhere, from all of the text alike. */
static void check_noise(const text *data, int64_t count, double share)
{
    enum { SEQUENCES = 3000, STEPS = 10 };
    noise_counts counts = {0};
    int64_t least, most, blocks = text_noise_blocks(count, &least, &most);
    unsigned char bytes[1024];
    for (int64_t i = 0; i < SEQUENCES; i++) {
        text_noise noise = {share, (uint64_t)count, i % STEPS, i / 1000, i / STEPS};
        int64_t start = (i * 7919) % (data->training - count + 1);
        memcpy(bytes, data->bytes + start, (size_t)count);
        text_noise_apply(&noise, data, start, count, bytes);
        count_changes(data, start, count, bytes, &counts);
    }
    double hit = SEQUENCES * share, mean = (double)(least + most) / 2.0;
    ck_assert_double_le(fabs(counts.hit - hit), 4.0 * sqrt(hit * (1.0 - share)));
    double width = (double)(most - least + 1);
    double deviation = sqrt((width * width - 1.0) / 12.0 * counts.hit);
    ck_assert_double_le(fabs(counts.blocks - mean * counts.hit), 4.0 * deviation);
    ck_assert_double_le(fabs(counts.places - 0.5 * counts.blocks),
                        4.0 * sqrt(counts.blocks / 12.0));
    for (int64_t block = 0; block < blocks; block++) {
        double expected = counts.blocks / (double)blocks;
        ck_assert_double_le(fabs(counts.each[block] - expected), 4.0 * sqrt(expected));
    }
}

START_TEST(noise_is_blocks_from_elsewhere)
{
    text data = random_text(9000);
    const int64_t counts[] = {10, 64, 72, 160, 300, 640, 1000};
    for (int i = 0; i < 7; i++) {
        check_noise(&data, counts[i], 0.2);
        check_noise(&data, counts[i], i % 2 == 0 ? 1.0 : 0.0);
    }
    text_free(&data);
}
END_TEST

/* Where blocks overlap all other places of the text, they stay; else any place may come. */
START_TEST(noise_in_the_shortest_texts)
{
    text data = random_text(22);
    ck_assert_int_eq(data.training, 20);
    bool first = false, last = false;
    for (int64_t i = 0; i < 200; i++) {
        unsigned char bytes[20];
        text_noise noise = {1.0, 1, i, 0, 0};
        memcpy(bytes, data.bytes, 20);
        text_noise_apply(&noise, &data, 0, 20, bytes);
        ck_assert_mem_eq(bytes, data.bytes, 20);
        memcpy(bytes, data.bytes + 7, 6);
        text_noise_apply(&noise, &data, 7, 6, bytes);
        ck_assert_double_ge(find_elsewhere(&data, 7, 6, bytes), 0.0);
        first = first || memcmp(bytes, data.bytes, 6) == 0;
        last = last || memcmp(bytes, data.bytes + 14, 6) == 0;
    }
    ck_assert(first && last);
    text_free(&data);
}
END_TEST

START_TEST(refuses_what_cannot_be_read)
{
    expect_refusal("/tmp/plumb-no-such-file", "No such file");
    expect_refusal("/tmp", "directory");
    fixture_text file = fixture_text_create(0);
    expect_refusal(file.path, "empty");
    fixture_text_remove(&file);
}
END_TEST

/* Reading these would never end: a device without an end, and a pipe that nobody writes to. */
START_TEST(refuses_what_is_no_regular_file)
{
    expect_refusal("/dev/zero", "not a regular file");
    expect_refusal("/dev/null", "not a regular file");
    char folder[] = "/tmp/plumb-text-XXXXXX";
    char path[64];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refusal(path, "not a regular file");
    unlink(path);
    rmdir(folder);
}
END_TEST

START_TEST(refuses_short_texts)
{
    char message[512] = "";
    text data = {.count = 1000, .training = 900};
    ck_assert_int_eq(text_check(&data, "book", 99, message, sizeof message), 0);
    ck_assert_int_eq(text_check(&data, "book", 100, message, sizeof message), 1);
    ck_assert_ptr_nonnull(strstr(message, "book"));
    ck_assert_ptr_nonnull(strstr(message, "1000"));
    ck_assert_ptr_nonnull(strstr(message, "900"));
    ck_assert_ptr_nonnull(strstr(message, "100 held out"));
    ck_assert_ptr_nonnull(strstr(message, "101"));
    ck_assert_ptr_null(strchr(message, '\n'));
    ck_assert_int_eq(text_check(&data, "book", 5000, message, sizeof message), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("text");
    test_add(suite, "reads_every_byte", reads_every_byte);
    test_add(suite, "reads_more_than_a_buffer", reads_more_than_a_buffer);
    test_add(suite, "windows_cover_the_last_tenth_once", windows_cover_the_last_tenth_once);
    test_add(suite, "counts_training_sequences", counts_training_sequences);
    test_add(suite, "noise_takes_a_fifth_to_two_fifths", noise_takes_a_fifth_to_two_fifths);
    test_add(suite, "noise_is_blocks_from_elsewhere", noise_is_blocks_from_elsewhere);
    test_add(suite, "noise_in_the_shortest_texts", noise_in_the_shortest_texts);
    test_add(suite, "refuses_what_cannot_be_read", refuses_what_cannot_be_read);
    test_add(suite, "refuses_what_is_no_regular_file", refuses_what_is_no_regular_file);
    test_add(suite, "refuses_short_texts", refuses_short_texts);
    return test_run(suite);
}
