/*
 * The GPT's benchmark runs, counts its rounds and refuses what the model refuses. What it measures
 * is no test's business.
 * ranks: serial
 */
#include "support/test.h"
#include "workload/gpt_benchmark.h"

#include <string.h>

START_TEST(benchmark_runs_and_refuses)
{
    workload_options o = {.layers = 1, .width = 8, .heads = 2, .context = 4, .micro_batch_size = 1};
    gpt_benchmark_result result;
    char message[512] = "";
    ck_assert_int_eq(gpt_benchmark(&o, 0.0, &result, message, sizeof message), 0);
    ck_assert_int_eq(result.rounds, 3);
    ck_assert(result.ratio > 0.0 && result.tokens_per_second > 0.0);
    o.heads = 3;
    ck_assert_int_eq(gpt_benchmark(&o, 0.0, &result, message, sizeof message), 1);
    ck_assert_ptr_nonnull(strstr(message, "--heads"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gpt_benchmark");
    test_add(suite, "benchmark_runs_and_refuses", benchmark_runs_and_refuses);
    return test_run(suite);
}
