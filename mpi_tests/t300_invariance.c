/*
 * The promise about bits: the same samples give the same parameters for every rank count, owner
 * map, order of calls, message size and timing. Runs on 1 to 8 of the ranks and compares hashes.
 * ranks: 8
 * seconds: 900
 */
#include <string.h>

#include "exchange/fault.h"
#include "support/invariance.h"
#include "support/test.h"

START_TEST(groups)
{
    static const struct {
        int64_t micro_batches;
        int groups;
    } shapes[] = {{8, 0},  {8, 1},  {8, 2},  {8, 4},   {12, 0}, {12, 1},
                  {12, 2}, {12, 3}, {12, 4}, {12, 12}, {9, 3},  {21, 7}};
    miniature m;
    miniature_init(&m);
    m.steps = 2;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        m.micro_batches = shapes[i].micro_batches;
        m.options.groups = shapes[i].groups;
        invariance_expect(&m, "groups");
    }
}
END_TEST

START_TEST(pipelines)
{
    static const plumb_optimizer optimizers[] = {PLUMB_OPTIMIZER_MUON, PLUMB_OPTIMIZER_ADAMW,
                                                 PLUMB_OPTIMIZER_SGD};
    for (int pipeline = 0; pipeline <= (int)PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR; pipeline++) {
        for (int i = 0; i < 3; i++) {
            miniature m;
            miniature_init(&m);
            m.steps = 2;
            m.pipeline = (plumb_pipeline)pipeline;
            m.optimizer = optimizers[i];
            m.micro_batches = pipeline % 2 == 0 ? 8 : 12;
            m.options.groups = pipeline % 2 == 0 ? 4 : 0;
            m.unequal_samples = i == 0;
            m.options.nominal_samples = i == 0 ? 300000007.0 : 1.0; /* sums beyond 2^30 */
            invariance_expect(&m, "pipelines");
        }
    }
}
END_TEST

START_TEST(orders_and_sizes)
{
    miniature m;
    miniature_init(&m);
    m.micro_batches = 12;
    m.options.groups = 3;
    m.unequal_samples = true;
    m.options.clip_norm = 0.5;
    m.polar = PLUMB_POLAR_POLAR_EXPRESS;
    char hash[33];
    invariance_reference(&m, hash);
    m.order = MINIATURE_SCRAMBLED;
    invariance_expect_same(&m, 5, hash, "scrambled");
    m.own_memory = true;
    m.progress = true;
    invariance_expect_same(&m, 4, hash, "own memory");
    m.order = MINIATURE_BY_PARAMETER;
    m.options.chunk_elements = 1000;
    invariance_expect_same(&m, 3, hash, "chunks");
    m.options.bucket_elements = 4096;
    invariance_expect_same(&m, 8, hash, "small buckets");
    m.options.bucket_elements = 1 << 20;
    m.options.owners = PLUMB_OWNERS_RANK0;
    fault.window_bytes = 1;
    invariance_expect_same(&m, 6, hash, "one lane");
    fault.window_bytes = 0;
    m.options.chunk_elements = 0;
    m.order = MINIATURE_ASCENDING;
    invariance_expect_same(&m, 2, hash, "large buckets");
    m.correction = PLUMB_CORRECTION_LOO;
    m.unequal_samples = false;
    invariance_reference(&m, hash);
    m.order = MINIATURE_SCRAMBLED;
    m.own_memory = false;
    invariance_expect_same(&m, 4, hash, "groups, scrambled");
    invariance_expect_same(&m, 8, hash, "groups, scrambled");
}
END_TEST

START_TEST(a_wrong_order_is_caught)
{
    miniature m;
    miniature_init(&m);
    char hash[33];
    invariance_reference(&m, hash);
    fault.order_depends_on_ranks = true;
    miniature_result result;
    miniature_run_on(3, &m, &result);
    fault.order_depends_on_ranks = false;
    test_all(result.status == PLUMB_OK);
    test_all(strcmp(result.hash, hash) != 0);
    invariance_expect_same(&m, 3, hash, "after the fault");
}
END_TEST

START_TEST(allreduce_is_close)
{
    miniature m;
    miniature_init(&m);
    m.optimizer = PLUMB_OPTIMIZER_SGD;
    m.steps = 1;
    miniature_result transposed;
    miniature_run_on(4, &m, &transposed);
    m.options.exchange = PLUMB_EXCHANGE_ALLREDUCE;
    miniature_result summed;
    miniature_run_on(4, &m, &summed);
    test_all(transposed.status == PLUMB_OK && summed.status == PLUMB_OK);
    double a = transposed.report.gradient_norm;
    double b = summed.report.gradient_norm;
    test_all(a > 0 && (a - b) / a < 1e-6 && (b - a) / a < 1e-6);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("invariance");
    test_add(suite, "groups", groups);
    test_add(suite, "pipelines", pipelines);
    test_add(suite, "orders and sizes", orders_and_sizes);
    test_add(suite, "a wrong order is caught", a_wrong_order_is_caught);
    test_add(suite, "allreduce is close", allreduce_is_close);
    return test_run_mpi(suite, &argc, &argv);
}
