/*
 * Texts as training data: reading any bytes, the split, the windows, and what is refused.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L

#include "support/reference_gpt_fixture.h"
#include "support/test.h"
#include "workload/text.h"

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
            text data = {malloc((size_t)count), count, count - count / 10};
            int predicted[100] = {0};
            int64_t windows = text_windows(&data, context);
            for (int64_t window = 0; window < windows; window++) {
                int64_t first = text_window(&data, context, window) - data.bytes;
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
    text data = {NULL, 100, 90};
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
    text data = {NULL, 1000, 900};
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
    test_add(suite, "refuses_what_cannot_be_read", refuses_what_cannot_be_read);
    test_add(suite, "refuses_what_is_no_regular_file", refuses_what_is_no_regular_file);
    test_add(suite, "refuses_short_texts", refuses_short_texts);
    return test_run(suite);
}
