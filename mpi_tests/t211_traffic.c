/*
 * What the report says of bytes and messages: a plain step moves 2 n (P-1)/P floats a rank, a
 * pipeline by groups G/P times the first leg, MPI calls are counted by their chunks.
 * ranks: 1 2 4 8
 */
#include <math.h>
#include <stdlib.h>

#include "support/exact_run.h"
#include "support/miniature.h"
#include "support/test.h"

static int ranks(void)
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

/* 2 n (P-1)/P floats a rank, over all ranks. */
static double ideal_bytes(double elements)
{
    return 2.0 * elements * (ranks() - 1) * (double)sizeof(float);
}

START_TEST(plain_step)
{
    static const int groups[] = {4, 8, 1, 2};
    for (int i = 0; i < 4; i++) {
        exact_run r;
        exact_run_init(&r);
        r.options.groups = groups[i];
        plumb_report report;
        test_all(exact_run_holds(MPI_COMM_WORLD, &r, &report));
        double ideal = ideal_bytes((double)exact_run_elements());
        test_all((double)report.exchange_bytes <= 1.02 * ideal);
        test_all((double)report.exchange_bytes >= ideal);
        test_all(ranks() == 1 || fabs(report.first_leg_ratio - 1.0) < 1e-12);
        test_all((report.exchange_messages == 0) == (ranks() == 1));
    }
}
END_TEST

START_TEST(owner_map_has_no_say)
{
    exact_run r;
    exact_run_init(&r);
    plumb_report sharded;
    plumb_report coordinator;
    test_all(exact_run_holds(MPI_COMM_WORLD, &r, &sharded));
    r.options.owners = PLUMB_OWNERS_RANK0;
    test_all(exact_run_holds(MPI_COMM_WORLD, &r, &coordinator));
    test_all(sharded.exchange_bytes == coordinator.exchange_bytes);
}
END_TEST

START_TEST(allreduce_step)
{
    exact_run r;
    exact_run_init(&r);
    r.options.exchange = PLUMB_EXCHANGE_ALLREDUCE;
    plumb_report report;
    test_all(exact_run_holds(MPI_COMM_WORLD, &r, &report));
    test_all(ranks() == 1 || fabs(report.first_leg_ratio - 2.0) < 0.05);
}
END_TEST

START_TEST(chunks_are_messages)
{
    exact_run r;
    exact_run_init(&r);
    plumb_report whole;
    plumb_report cut;
    test_all(exact_run_holds(MPI_COMM_WORLD, &r, &whole));
    r.options.chunk_elements = 500;
    test_all(exact_run_holds(MPI_COMM_WORLD, &r, &cut));
    test_all(cut.exchange_bytes == whole.exchange_bytes);
    double least = ideal_bytes((double)exact_run_elements()) / (500.0 * sizeof(float));
    test_all((double)cut.exchange_messages >= least);
    test_all((double)cut.exchange_messages <= least + 2.0 * (double)whole.exchange_messages);
}
END_TEST

enum { ROWS = 64, COLS = 96, TOTAL = 16 };

static plumb_status give_matrix(plumb *p)
{
    static float gradient[ROWS * COLS];
    int64_t first = 0;
    int64_t count = 0;
    plumb_status status = plumb_share(p, TOTAL, &first, &count);
    for (int64_t k = first; k < first + count && status == PLUMB_OK; k++) {
        for (int e = 0; e < ROWS * COLS; e++) {
            gradient[e] = test_value(5, (uint64_t)k, (uint64_t)e);
        }
        status = plumb_accumulate(p, 0, k, gradient);
    }
    return status;
}

/* One Muon matrix, one step. */
static plumb_status matrix_step(plumb_pipeline pipeline, int groups, plumb_report *report)
{
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.groups = groups;
    plumb *p = NULL;
    plumb_status status = plumb_create(MPI_COMM_WORLD, &options, &p);
    plumb_parameter_options muon;
    plumb_parameter_options_init(&muon, sizeof muon, PLUMB_OPTIMIZER_MUON);
    muon.pipeline = pipeline;
    float *values = calloc(ROWS * COLS, sizeof *values);
    int id;
    if (status == PLUMB_OK) {
        status = plumb_add_parameter(p, "matrix", ROWS, COLS, values, &muon, &id);
    }
    if (status == PLUMB_OK) {
        status = plumb_begin_step(p, TOTAL);
    }
    if (status == PLUMB_OK) {
        status = give_matrix(p);
    }
    if (status == PLUMB_OK) {
        status = plumb_end_step(p, 0.1, report);
    }
    plumb_destroy(&p);
    free(values);
    return status;
}

/* Streams of all groups that do not lie on the owner: G (P-1)/P of them if G >= P. */
START_TEST(streams_by_group)
{
    static const int groups[] = {8, 16};
    for (int i = 0; i < 2; i++) {
        plumb_report report = {.size = sizeof report};
        test_all(matrix_step(PLUMB_PIPELINE_NORMALISED_WITH_NORM, groups[i], &report) == PLUMB_OK);
        double expected = (double)groups[i] / ranks();
        double tail = 2.0 / (ROWS * COLS);
        test_all(ranks() == 1 || fabs(report.first_leg_ratio - expected * (1.0 + tail)) < 1e-9);
        test_all(ranks() > 1 || report.first_leg_ratio == 1.0);
    }
}
END_TEST

/* Bytes of a step of the miniature with G = 4, AdamW everywhere that a correction could be. */
static double corrected_bytes(plumb_correction correction)
{
    miniature m;
    miniature_result result;
    miniature_init(&m);
    m.optimizer = PLUMB_OPTIMIZER_ADAMW;
    m.correction = correction;
    m.options.groups = 4;
    m.steps = 1;
    miniature_run(MPI_COMM_WORLD, &m, &result);
    test_all(result.status == PLUMB_OK);
    return (double)result.report.exchange_bytes;
}

/* Every group's gradient at the owner costs nothing while there are no more groups than ranks. */
START_TEST(corrections)
{
    double plain = corrected_bytes(PLUMB_CORRECTION_NONE);
    double moment = corrected_bytes(PLUMB_CORRECTION_MOMENT);
    double loo = corrected_bytes(PLUMB_CORRECTION_LOO);
    test_all(moment == loo);
    if (ranks() == 4) {
        test_all(moment <= 1.01 * plain);
    } else if (ranks() == 2) {
        /* Two groups a rank: the first leg, half of all, twice; one bias is on SGD. */
        test_all(moment > 1.49 * plain && moment < 1.51 * plain);
    } else if (ranks() == 1) {
        test_all(moment == 0.0);
    }
}
END_TEST

START_TEST(one_rank_sends_nothing)
{
    exact_run r;
    exact_run_init(&r);
    plumb_report report;
    test_all(exact_run_holds(MPI_COMM_SELF, &r, &report));
    test_all(report.exchange_bytes == 0 && report.exchange_messages == 0);
    test_all(report.overlap == 1.0);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("traffic");
    test_add(suite, "plain step", plain_step);
    test_add(suite, "owner map has no say", owner_map_has_no_say);
    test_add(suite, "allreduce step", allreduce_step);
    test_add(suite, "chunks are messages", chunks_are_messages);
    test_add(suite, "streams by group", streams_by_group);
    test_add(suite, "corrections", corrections);
    test_add(suite, "one rank sends nothing", one_rank_sends_nothing);
    return test_run_mpi(suite, &argc, &argv);
}
