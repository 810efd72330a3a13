/*
 * The promise about bits, for matrices that are updated in row panels by several owners: every rank
 * count, both owner maps, panels spread or not, small messages, and against the polar factor that a
 * caller forms by hand.
 *
 * ranks: 8
 * seconds: 900
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optim/elementwise.h"
#include "step/panels.h"
#include "support/panel_run.h"
#include "support/test.h"

enum { STEPS = 3 };

typedef struct ending {
    int status;
    char hash[33];
    plumb_report report;
} ending;

static void run(panel_run *r, MPI_Comm communicator, ending *e)
{
    memset(e, 0, sizeof *e);
    e->report.size = sizeof e->report;
    plumb_status status = panel_run_open(r, communicator);
    for (int step = 0; step < STEPS && status == PLUMB_OK; step++) {
        status = panel_run_step(r, step, &e->report);
    }
    if (status == PLUMB_OK) {
        status = plumb_parameters_hash(r->p, e->hash);
    }
    e->status = (int)status;
    panel_run_close(r);
}

/* On the first `ranks` ranks of all; everybody gets rank 0's ending. */
static void run_on(int ranks, panel_run *r, ending *e)
{
    int rank = 0;
    MPI_Comm part = MPI_COMM_NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_split(MPI_COMM_WORLD, rank < ranks ? 0 : MPI_UNDEFINED, rank, &part);
    if (part != MPI_COMM_NULL) {
        run(r, part, e);
        MPI_Comm_free(&part);
    }
    MPI_Bcast(e, (int)sizeof *e, MPI_BYTE, 0, MPI_COMM_WORLD);
    test_all(e->status == PLUMB_OK);
}

static void expect(panel_run *r, int ranks, const char *hash, int64_t *panel_bytes)
{
    ending e;
    run_on(ranks, r, &e);
    ck_assert_msg(strcmp(e.hash, hash) == 0, "%d ranks, owners %d, spread %d, chunk %lld: bits",
                  ranks, (int)r->options.owners, r->options.spread_panels,
                  (long long)r->options.chunk_elements);
    *panel_bytes = e.report.panel_bytes;
}

START_TEST(rank_counts)
{
    static const int counts[] = {2, 3, 4, 5, 8};
    ending one;
    int64_t bytes;
    panel_run r;
    panel_run_init(&r);
    run_on(1, &r, &one);
    ck_assert_int_eq(one.report.panel_bytes, 0);
    for (int i = 0; i < 5; i++) {
        r.options.owners = PLUMB_OWNERS_SHARDED;
        r.options.spread_panels = 1;
        expect(&r, counts[i], one.hash, &bytes);
        ck_assert_int_gt(bytes, 0);
        r.options.spread_panels = 0;
        expect(&r, counts[i], one.hash, &bytes);
        ck_assert_int_eq(bytes, 0);
    }
    r.options.owners = PLUMB_OWNERS_RANK0;
    r.options.spread_panels = 1;
    expect(&r, 3, one.hash, &bytes);
    ck_assert_int_eq(bytes, 0);
}
END_TEST

/* Three panels, on as many ranks, fewer and more, in messages of many pieces. */
START_TEST(small_messages)
{
    ending one;
    int64_t bytes;
    panel_run r;
    panel_run_init(&r);
    r.end = 1;
    r.options.chunk_elements = 1000;
    run_on(1, &r, &one);
    for (int ranks = 2; ranks <= 4; ranks++) {
        expect(&r, ranks, one.hash, &bytes);
        ck_assert_int_gt(bytes, 0);
    }
}
END_TEST

/* Matrices one after the other, in the same memory. */
START_TEST(rounds)
{
    ending one;
    ending together;
    int64_t bytes;
    panel_run r;
    panel_run_init(&r);
    run_on(1, &r, &one);
    run_on(3, &r, &together);
    int64_t usual = panels_round_floats;
    panels_round_floats = 1;
    expect(&r, 3, one.hash, &bytes);
    expect(&r, 8, one.hash, &bytes);
    panels_round_floats = 1 << 19; /* two of the three fit */
    expect(&r, 3, one.hash, &bytes);
    ck_assert_int_eq(bytes, together.report.panel_bytes);
    panels_round_floats = usual;
}
END_TEST

/* Muon's formulas on the whole matrix, in the same single precision. */
static void by_hand(const panel_run *r, int i, float *values)
{
    int64_t count = panel_run_elements(i);
    size_t bytes = (size_t)count * sizeof(float);
    float *gradient = malloc(bytes);
    float *mean = malloc(bytes);
    float *direction = malloc(bytes);
    float *momentum = calloc((size_t)count, sizeof(float));
    plumb_polar_options polar = {
        .size = sizeof polar, .delta = r->muon.polar_delta, .steps = r->muon.polar_steps};
    elementwise_weight weight = elementwise_weight_of_new(r->muon.beta1);
    double longest = (double)panel_run_rows(i);
    for (int step = 0; step < STEPS; step++) {
        memset(mean, 0, bytes);
        for (int64_t k = 0; k < PANEL_TOTAL; k++) {
            panel_run_scaled_gradient(r, step, k, i, gradient);
            for (int64_t e = 0; e < count; e++) {
                mean[e] += gradient[e];
            }
        }
        for (int64_t e = 0; e < count; e++) {
            mean[e] /= (float)PANEL_TOTAL;
            momentum[e] = elementwise_lerp(momentum[e], mean[e], weight);
            direction[e] = elementwise_lerp(momentum[e], mean[e], weight);
        }
        ck_assert_int_eq(plumb_polar(PLUMB_POLAR_FAST, panel_run_rows(i), panel_run_cols(i),
                                     direction, direction, &polar),
                         PLUMB_OK);
        float step_size = (float)(0.02 * 0.2 * sqrt(longest));
        float keep = (float)(1.0 - 0.02 * r->muon.weight_decay);
        for (int64_t e = 0; e < count; e++) {
            values[e] = keep * values[e] - step_size * direction[e];
        }
    }
    free(gradient);
    free(mean);
    free(direction);
    free(momentum);
}

static void expect_stateless(int i, float head_scale, MPI_Comm communicator)
{
    panel_run r;
    panel_run_init(&r);
    r.first = i;
    r.end = i + 1;
    r.muon.polar_delta = i == 1 ? 0.05 : 0.0;
    r.muon.polar_steps = i == 2 ? 5 : 0;
    r.head_scale = head_scale;
    test_all(panel_run_open(&r, communicator) == PLUMB_OK);
    size_t bytes = (size_t)panel_run_elements(i) * sizeof(float);
    float *expected = malloc(bytes);
    memcpy(expected, r.values[i], bytes);
    for (int step = 0; step < STEPS; step++) {
        test_all(panel_run_step(&r, step, NULL) == PLUMB_OK);
    }
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (rank == 0) {
        by_hand(&r, i, expected);
    }
    test_all(rank != 0 || memcmp(expected, r.values[i], bytes) == 0);
    free(expected);
    panel_run_close(&r);
}

START_TEST(against_the_stateless_factor)
{
    expect_stateless(_i, 1.0f, MPI_COMM_WORLD);
}
END_TEST

/* Squares of the large panels would overflow in the units of the small ones, whoever owns them. */
START_TEST(panels_of_unlike_magnitude)
{
    expect_stateless(_i, 0x1p62f, MPI_COMM_WORLD);
    expect_stateless(_i, 0x1p62f, MPI_COMM_SELF);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("panel invariance");
    test_add(suite, "rank counts", rank_counts);
    test_add(suite, "small messages", small_messages);
    test_add(suite, "rounds", rounds);
    TCase *cases = tcase_create("against the stateless factor");
    tcase_add_loop_test(cases, against_the_stateless_factor, 0, PANEL_PANELLED);
    tcase_add_loop_test(cases, panels_of_unlike_magnitude, 0, PANEL_PANELLED);
    suite_add_tcase(suite, cases);
    return test_run_mpi(suite, &argc, &argv);
}
