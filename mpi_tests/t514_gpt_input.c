/*
 * Wrong input to the GPT: each gives one line that names what is wrong, and leaves nothing behind.
 * ranks: serial
 */
#include "support/reference_gpt_fixture.h"
#include "support/test.h"

#include <math.h>
#include <string.h>

static workload_options good(const char *path)
{
    return (workload_options){.data = path,
                              .layers = 1,
                              .width = 8,
                              .heads = 2,
                              .context = 4,
                              .micro_batch_size = 1,
                              .seed = 1};
}

static void expect_refusal(int reason, const workload_options *options, const char *first,
                           const char *second)
{
    workload *w = (workload *)&w;
    char message[512] = "";
    ck_assert_int_eq(workload_create_gpt(options, &w, message, sizeof message), reason);
    ck_assert_ptr_null(w);
    ck_assert_msg(strstr(message, first) != NULL, "no '%s' in: %s", first, message);
    ck_assert_msg(strstr(message, second) != NULL, "no '%s' in: %s", second, message);
    ck_assert_ptr_null(strchr(message, '\n'));
}

START_TEST(options_out_of_range)
{
    fixture_text data = fixture_text_create(1000);
    const int64_t wrong[] = {0, -1, INT64_MIN, INT64_MAX, (int64_t)1 << 32, 1000000000};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        workload_options o = good(data.path);
        o.layers = wrong[i];
        expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--layers", "range");
        o = good(data.path);
        o.width = wrong[i];
        expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--width", "range");
        o = good(data.path);
        o.heads = wrong[i];
        expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--heads", "range");
        o = good(data.path);
        o.context = wrong[i];
        expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--context", "range");
        o = good(data.path);
        o.micro_batch_size = wrong[i];
        expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--micro-batch-size", "range");
    }
    workload_options o = good(data.path);
    o.context = 1;
    expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--context 1 ", "2 to");
    fixture_text_remove(&data);
}
END_TEST

START_TEST(noise_out_of_range)
{
    fixture_text data = fixture_text_create(1000);
    const double wrong[] = {-0.1, 1.0000001, 1e300, -INFINITY, INFINITY, NAN};
    workload_options o = good(data.path);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        o.noise = wrong[i];
        expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--noise", "range: 0 to 1");
    }
    for (o.noise = 0.0; o.noise <= 1.0; o.noise += 0.5) {
        workload *w;
        char message[512] = "";
        ck_assert_int_eq(workload_create_gpt(&o, &w, message, sizeof message), 0);
        workload_destroy(&w);
    }
    fixture_text_remove(&data);
}
END_TEST

START_TEST(vocabulary_out_of_range)
{
    fixture_text data = fixture_text_create(1000);
    const int64_t wrong[] = {-1, 1, INT64_MIN, INT64_MAX, ((int64_t)1 << 20) + 1};
    workload_options o = good(data.path);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        o.vocabulary = wrong[i];
        expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--vocabulary", "range");
    }
    o.vocabulary = 255;
    expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--vocabulary 255", "256 of a text");
    fixture_text_remove(&data);
}
END_TEST

START_TEST(width_not_divisible_by_heads)
{
    fixture_text data = fixture_text_create(1000);
    workload_options o = good(data.path);
    o.heads = 3;
    expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--width 8", "--heads 3");
    o.heads = 16;
    expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--width 8", "--heads 16");
    fixture_text_remove(&data);
}
END_TEST

START_TEST(missing_and_short_texts)
{
    workload_options o = good(NULL);
    expect_refusal(WORKLOAD_WRONG_OPTIONS, &o, "--data", "missing");
    o = good("/tmp/plumb-no-such-file");
    expect_refusal(WORKLOAD_WRONG_DATA, &o, "/tmp/plumb-no-such-file", "No such file");
    o = good("/sys");
    expect_refusal(WORKLOAD_WRONG_DATA, &o, "/sys", "directory");
    o = good("/dev/null");
    expect_refusal(WORKLOAD_WRONG_DATA, &o, "/dev/null", "not a regular file");
    fixture_text data = fixture_text_create(49);
    o = good(data.path);
    expect_refusal(WORKLOAD_WRONG_DATA, &o, data.path, "49 bytes");
    expect_refusal(WORKLOAD_WRONG_DATA, &o, "4 held out", "--context + 1 = 5");
    fixture_text_remove(&data);
}
END_TEST

START_TEST(the_shortest_text)
{
    fixture_text data = fixture_text_create(50);
    workload_options o = good(data.path);
    workload *w;
    char message[512];
    ck_assert_int_eq(workload_create_gpt(&o, &w, message, sizeof message), 0);
    ck_assert_int_eq(w->held_out_units, 1);
    workload_destroy(&w);
    workload_destroy(&w);
    fixture_text_remove(&data);
}
END_TEST

/* Petabytes: malloc says no. */
START_TEST(more_memory_than_there_is)
{
    fixture_text data = fixture_text_create(400000);
    workload_options o = good(data.path);
    o.layers = 512;
    o.width = 16384;
    o.heads = 1024;
    o.context = 16384;
    o.micro_batch_size = 1024;
    expect_refusal(WORKLOAD_NO_MEMORY, &o, "not enough memory", "--micro-batch-size");
    fixture_text_remove(&data);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpt_input");
    test_add(suite, "options_out_of_range", options_out_of_range);
    test_add(suite, "noise_out_of_range", noise_out_of_range);
    test_add(suite, "vocabulary_out_of_range", vocabulary_out_of_range);
    test_add(suite, "width_not_divisible_by_heads", width_not_divisible_by_heads);
    test_add(suite, "missing_and_short_texts", missing_and_short_texts);
    test_add(suite, "the_shortest_text", the_shortest_text);
    test_add(suite, "more_memory_than_there_is", more_memory_than_there_is);
    return test_run(suite);
}
