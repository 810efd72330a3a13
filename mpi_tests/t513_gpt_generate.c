/*
 * Held-out loss and generated text of the GPT, against the plain reference.
 * ranks: serial
 */
#include "support/reference_gpt_fixture.h"
#include "support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 12, TEXT = 1500, HELD_OUT = TEXT / 10, TRAINING = TEXT - HELD_OUT };

typedef struct setting {
    fixture_text data;
    workload *w;
    fixture_reference *truth;
} setting;

static setting make(int micro_batch_size)
{
    setting s = {.data = fixture_text_create(TEXT)};
    s.w = fixture_gpt(&s.data, 2, 16, 2, CONTEXT, micro_batch_size, 3);
    fixture_enliven(s.w);
    s.truth = fixture_reference_create(s.w);
    return s;
}

static void release(setting *s)
{
    fixture_reference_destroy(s->truth);
    workload_destroy(&s->w);
    fixture_text_remove(&s->data);
}

static int arg_max(const double *row)
{
    int best = 0;
    for (int i = 1; i < 256; i++) {
        best = row[i] > row[best] ? i : best;
    }
    return best;
}

START_TEST(held_out_windows_agree)
{
    setting s = make(2);
    ck_assert_int_eq(s.w->held_out_units, (HELD_OUT - 1) / CONTEXT);
    for (int64_t unit = 0; unit < s.w->held_out_units; unit++) {
        const unsigned char *bytes = s.data.bytes + TRAINING + unit * CONTEXT;
        static double logits[CONTEXT * 256];
        double truth =
            reference_gpt_loss(&s.truth->shape, s.truth->values, CONTEXT, bytes, 1.0, NULL, logits);
        int hits = 0;
        for (int i = 0; i < CONTEXT; i++) {
            hits += arg_max(logits + 256 * i) == bytes[i + 1];
        }
        double loss, weight, correct;
        ck_assert_int_eq(s.w->kind->held_out(s.w, unit, &loss, &weight, &correct), 0);
        ck_assert_double_le(fabs(loss - truth), 1e-5 * truth);
        ck_assert(weight == CONTEXT);
        ck_assert(correct == hits);
    }
    release(&s);
}
END_TEST

START_TEST(held_out_loss_does_not_depend_on_the_micro_batch_size)
{
    setting s = make(1);
    setting t = make(5);
    double a[3], b[3];
    ck_assert_int_eq(s.w->kind->held_out(s.w, 2, &a[0], &a[1], &a[2]), 0);
    ck_assert_int_eq(t.w->kind->held_out(t.w, 2, &b[0], &b[1], &b[2]), 0);
    ck_assert_mem_eq(a, b, sizeof a);
    release(&s);
    release(&t);
}
END_TEST

START_TEST(held_out_units_end)
{
    setting s = make(1);
    double loss, weight, correct;
    ck_assert_int_eq(s.w->kind->held_out(s.w, -1, &loss, &weight, &correct), 1);
    ck_assert_int_eq(s.w->kind->held_out(s.w, s.w->held_out_units, &loss, &weight, &correct), 1);
    ck_assert_ptr_nonnull(strstr(s.w->message, "window"));
    release(&s);
}
END_TEST

/*
 * Follows greedy generation with the reference: each byte's logit is the largest but for rounding.
 * `window` is what the model may see, as documented: when it is full, its second half stays.
 */
static void follow(const setting *s, const char *prompt, const char *words, int count)
{
    unsigned char window[CONTEXT + 1] = {0};
    int length = (int)strlen(prompt) < CONTEXT ? (int)strlen(prompt) : CONTEXT;
    memcpy(window, prompt + strlen(prompt) - (size_t)length, (size_t)length);
    for (int i = 0; i < count; i++) {
        static double logits[CONTEXT * 256];
        reference_gpt_loss(&s->truth->shape, s->truth->values, length, window, 1.0, NULL, logits);
        const double *row = logits + 256 * (length - 1);
        int byte = (unsigned char)words[i];
        ck_assert_double_ge(row[byte], row[arg_max(row)] - 1e-4);
        if (length == CONTEXT) {
            memmove(window, window + CONTEXT - CONTEXT / 2, CONTEXT / 2);
            length = CONTEXT / 2;
        }
        window[length++] = (unsigned char)byte;
    }
}

START_TEST(greedy_text_agrees)
{
    setting s = make(1);
    const char *prompts[] = {"a", "hello", "twelve bytes", "much more than twelve bytes", "\n"};
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++) {
        char words[41];
        ck_assert_int_eq(s.w->kind->generate(s.w, prompts[i], 40, 0.0, i, words), 0);
        follow(&s, prompts[i], words, 40);
        ck_assert_int_eq(words[40], '\0');
    }
    release(&s);
}
END_TEST

START_TEST(text_is_a_function_of_its_seed)
{
    setting s = make(1);
    char a[101], b[101], c[101], start[31];
    ck_assert_int_eq(s.w->kind->generate(s.w, "abc", 100, 0.9, 1, a), 0);
    ck_assert_int_eq(s.w->kind->generate(s.w, "abc", 100, 0.9, 2, c), 0);
    ck_assert_int_eq(s.w->kind->generate(s.w, "abc", 100, 0.9, 1, b), 0);
    ck_assert_int_eq(s.w->kind->generate(s.w, "abc", 30, 0.9, 1, start), 0);
    ck_assert_mem_eq(a, b, 101);
    ck_assert_mem_eq(a, start, 30);
    ck_assert_mem_ne(a, c, 100);
    ck_assert_int_eq(s.w->kind->generate(s.w, "", 100, 0.0, 1, a), 0);
    ck_assert_int_eq(s.w->kind->generate(s.w, "\n", 100, 0.0, 2, b), 0);
    ck_assert_mem_eq(a, b, 101);
    release(&s);
}
END_TEST

/* Frequencies of the first byte over seeds against softmax(logits / temperature). */
START_TEST(bytes_follow_their_distribution)
{
    enum { DRAWS = 20000 };
    setting s = make(1);
    int64_t counts[256] = {0};
    double logits[256], sum = 0.0, chi = 0.0;
    const double temperature = 2.0;
    reference_gpt_loss(&s.truth->shape, s.truth->values, 1, (const unsigned char *)"q\0", 1.0, NULL,
                       logits);
    for (int i = 0; i < 256; i++) {
        sum += exp(logits[i] / temperature);
    }
    for (uint64_t seed = 0; seed < DRAWS; seed++) {
        char byte[2];
        ck_assert_int_eq(s.w->kind->generate(s.w, "q", 1, temperature, seed, byte), 0);
        counts[(unsigned char)byte[0]]++;
    }
    for (int i = 0; i < 256; i++) {
        double expected = DRAWS * exp(logits[i] / temperature) / sum;
        chi += ((double)counts[i] - expected) * ((double)counts[i] - expected) / expected;
    }
    /* 255 degrees of freedom: mean 255, standard deviation 22.6. */
    ck_assert_double_gt(chi, 255.0 - 6 * 22.6);
    ck_assert_double_lt(chi, 255.0 + 6 * 22.6);
    release(&s);
}
END_TEST

START_TEST(refuses_senseless_temperatures)
{
    setting s = make(1);
    char words[2];
    const double wrong[] = {-0.1, NAN, INFINITY, 1e9};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(s.w->kind->generate(s.w, "a", 1, wrong[i], 1, words), 1);
        ck_assert_ptr_nonnull(strstr(s.w->message, "temperature"));
    }
    ck_assert_int_eq(s.w->kind->generate(s.w, "a", -1, 1.0, 1, words), 1);
    ck_assert_int_eq(s.w->kind->generate(s.w, "a", 0, 1.0, 1, words), 0);
    ck_assert_int_eq(words[0], '\0');
    release(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpt_generate");
    test_add(suite, "held_out_windows_agree", held_out_windows_agree);
    test_add(suite, "held_out_loss_does_not_depend_on_the_micro_batch_size",
             held_out_loss_does_not_depend_on_the_micro_batch_size);
    test_add(suite, "held_out_units_end", held_out_units_end);
    test_add(suite, "greedy_text_agrees", greedy_text_agrees);
    test_add(suite, "text_is_a_function_of_its_seed", text_is_a_function_of_its_seed);
    test_add(suite, "bytes_follow_their_distribution", bytes_follow_their_distribution);
    test_add(suite, "refuses_senseless_temperatures", refuses_senseless_temperatures);
    return test_run(suite);
}
