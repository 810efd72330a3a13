/*
 * The progress lines, as they appear where standard error is no terminal.
 * ranks: serial
 */
#define _POSIX_C_SOURCE 200809L /* dup, fileno */

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/progress.h"
#include "support/test.h"

/* What one call writes on standard error. */
static void show(progress *p, int64_t step, double loss, double seconds, double step_seconds,
                 char *text, size_t size)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    fflush(stderr);
    int kept = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    progress_show(p, step, loss, 1000.0, seconds, step_seconds);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    size_t length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    fclose(file);
}

static progress start(int64_t steps)
{
    progress p;
    progress_start(&p, PROGRESS_ALWAYS, true, steps, "token");
    p.terminal = false;
    return p;
}

/* A minute of evaluation before the first step says nothing about the steps to come. */
START_TEST(time_left_comes_from_steps)
{
    char text[256];
    progress p = start(101);
    show(&p, 1, 5.5, 62.0, 2.0, text, sizeof text);
    ck_assert_msg(strstr(text, "  3 min 20 s left") != NULL, "%s", text);
    show(&p, 51, 5.0, 400.0, 51.0, text, sizeof text);
    ck_assert_msg(strstr(text, "  50 s left") != NULL, "%s", text);
}
END_TEST

START_TEST(line_of_a_step)
{
    char text[256];
    progress p = start(100);
    show(&p, 0, NAN, 0.5, 0.0, text, sizeof text);
    ck_assert_str_eq(text, "step   0/100\n");
    p.held_out_loss = 4.25;
    show(&p, 1, 5.5, 1.0, 1.0, text, sizeof text);
    ck_assert_str_eq(
        text, "step   1/100  loss 5.5000  held-out 4.2500  1000 tokens/s  1 min 39 s left\n");
}
END_TEST

/* Not at every step, but at the last one always. */
START_TEST(lines_are_seldom)
{
    char text[256];
    progress p = start(100);
    show(&p, 1, 5.5, 1.0, 1.0, text, sizeof text);
    show(&p, 2, 5.5, 2.0, 2.0, text, sizeof text);
    ck_assert_str_eq(text, "");
    show(&p, 7, 5.5, 7.0, 7.0, text, sizeof text);
    ck_assert_str_ne(text, "");
    show(&p, 100, 5.5, 7.5, 7.5, text, sizeof text);
    ck_assert_msg(strstr(text, "0 s left") != NULL, "%s", text);
}
END_TEST

START_TEST(durations)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0.2, "0 s"}, {59.4, "59 s"}, {61.0, "1 min 01 s"}, {7322.0, "2 h 02 min"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        progress_duration(cases[i].seconds, text, sizeof text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("progress");
    test_add(suite, "time left comes from steps", time_left_comes_from_steps);
    test_add(suite, "line of a step", line_of_a_step);
    test_add(suite, "lines are seldom", lines_are_seldom);
    test_add(suite, "durations", durations);
    return test_run(suite);
}
