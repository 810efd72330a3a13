/*
 * Sums and values in shared memory: the same bits with windows, without, where none can be had, and
 * with ranks spread unevenly over pretended hosts; memory that grows and shrinks with K and G; and
 * gradients that only their reader looks at.
 * ranks: 1 2 5 8
 * seconds: 900
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/fault.h"
#include "exchange/window.h"
#include "support/exact_run.h"
#include "support/miniature.h"
#include "support/test.h"
#include "support/trial.h"

static int ranks(void)
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

static void expect_hash(const miniature *m, const char *hash, const char *what, int nodes)
{
    miniature_result result;
    miniature_run(MPI_COMM_WORLD, m, &result);
    bool same = result.status == PLUMB_OK && strcmp(result.hash, hash) == 0;
    ck_assert_msg(test_agree(same), "%s, %d hosts, shared memory %d: %s %s, not %s", what, nodes,
                  m->options.shared_memory, result.message, result.hash, hash);
}

/* With windows and without, on 1 to 4 hosts, with both maps, in two orders, with memory for all that
 * arrives or for one bucket. */
static void expect_placements(miniature *m, const char *what)
{
    miniature_result reference;
    miniature_run_on(1, m, &reference);
    test_all(reference.status == PLUMB_OK);
    for (int run = 0; run < 8; run++) {
        fault.pretended_nodes = run % 4 == 0 ? 0 : 1 + run % 4;
        fault.window_bytes = run % 4 == 3 || run == 6 ? 1 : 0;
        m->options.shared_memory = run != 4;
        m->options.owners = run % 3 == 2 ? PLUMB_OWNERS_RANK0 : PLUMB_OWNERS_SHARDED;
        m->order = run % 2 == 0 ? MINIATURE_ASCENDING : MINIATURE_SCRAMBLED;
        m->progress = run >= 4;
        expect_hash(m, reference.hash, what, fault.pretended_nodes);
    }
    fault.window_bytes = 0;
    fault.pretended_nodes = 0;
}

START_TEST(placements)
{
    static const struct {
        int64_t micro_batches;
        int groups;
        plumb_correction correction;
        plumb_pipeline pipeline;
    } shapes[] = {{8, 8, PLUMB_CORRECTION_NONE, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE},
                  {12, 1, PLUMB_CORRECTION_NONE, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE},
                  {21, 7, PLUMB_CORRECTION_NONE, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE},
                  {12, 4, PLUMB_CORRECTION_LOO, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE},
                  {10, 2, PLUMB_CORRECTION_MOMENT, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE},
                  {8, 4, PLUMB_CORRECTION_NONE, PLUMB_PIPELINE_NORMALISED_WITH_NORM}};
    miniature m;
    miniature_init(&m);
    m.steps = 2;
    m.optimizer = _i == 3 || _i == 4 ? PLUMB_OPTIMIZER_ADAMW : PLUMB_OPTIMIZER_MUON;
    m.micro_batches = shapes[_i].micro_batches;
    m.options.groups = shapes[_i].groups;
    m.correction = shapes[_i].correction;
    m.pipeline = shapes[_i].pipeline;
    m.options.bucket_elements = _i % 2 == 0 ? 0 : 4096;
    expect_placements(&m, "placements");
}
END_TEST

/* Curvature is an exchange of its own, with a window of its own. */
START_TEST(curvature)
{
    miniature m;
    miniature_init(&m);
    m.optimizer = PLUMB_OPTIMIZER_SOPHIA;
    m.interval = 2;
    m.steps = 3;
    expect_placements(&m, "curvature");
}
END_TEST

/* More slots, then fewer, then others; gradients from the last micro-batch to the first. */
START_TEST(memory_grows)
{
    for (int nodes = 0; nodes <= 3; nodes++) {
        fault.pretended_nodes = nodes == 1 ? 0 : nodes;
        exact_run r;
        exact_run_init(&r);
        r.steps = EXACT_STEPS;
        r.totals[0] = 8;
        r.totals[1] = 40;
        r.totals[2] = 8;
        r.totals[3] = 77;
        r.descending = nodes % 2 == 1;
        r.own_memory = nodes == 2;
        r.uneven_pace = nodes == 3;
        bool held = exact_run_holds(MPI_COMM_WORLD, &r, NULL);
        fault.pretended_nodes = 0;
        test_all(held);
    }
}
END_TEST

START_TEST(no_window)
{
    miniature m;
    miniature_init(&m);
    m.steps = 2;
    miniature_result reference;
    miniature_run_on(1, &m, &reference);
    fault.no_windows = true;
    expect_hash(&m, reference.hash, "no windows", 1);
    trial t;
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK && trial_step(&t, 1) == PLUMB_OK);
    const char *said = strstr(t.log, "by messages");
    bool once = said != NULL && strstr(said + 1, "by messages") == NULL;
    test_all(t.rank != 0 || (ranks() > 1 ? once : said == NULL));
    test_all(trial_close(&t));
    fault.no_windows = false;
}
END_TEST

/* The hash after two steps of an AdamW vector and, behind it, a Muon matrix. */
static void mixed_hash(int64_t bucket_elements, char hash[33])
{
    enum { VECTOR = 100, SIDE = 64, MATRIX = SIDE * SIDE, TOTAL = 8 };
    static float values[2][MATRIX], gradient[MATRIX];
    const int64_t counts[2] = {VECTOR, MATRIX};
    plumb_options options;
    plumb_options_init(&options, sizeof options);
    options.bucket_elements = bucket_elements;
    plumb *p = NULL;
    test_all(plumb_create(MPI_COMM_WORLD, &options, &p) == PLUMB_OK);
    bool good = true;
    for (int i = 0; i < 2; i++) {
        plumb_parameter_options one;
        plumb_parameter_options_init(&one, sizeof one,
                                     i == 0 ? PLUMB_OPTIMIZER_ADAMW : PLUMB_OPTIMIZER_MUON);
        int id;
        memset(values[i], 0, sizeof values[i]);
        good =
            good && plumb_add_parameter(p, i == 0 ? "vector" : "matrix", i == 0 ? 1 : SIDE,
                                        i == 0 ? VECTOR : SIDE, values[i], &one, &id) == PLUMB_OK;
    }
    for (int step = 0; step < 2; step++) {
        int64_t first = 0, count = 0;
        good = good && plumb_begin_step(p, TOTAL) == PLUMB_OK;
        good = good && plumb_share(p, TOTAL, &first, &count) == PLUMB_OK;
        for (int64_t k = first; good && k < first + count; k++) {
            for (int i = 0; i < 2; i++) {
                for (int64_t e = 0; e < counts[i]; e++) {
                    gradient[e] = test_value((uint64_t)(100 * step + k), (uint64_t)i, (uint64_t)e);
                }
                good = good && plumb_accumulate(p, i, k, gradient) == PLUMB_OK;
            }
        }
        good = good && plumb_end_step(p, 0.1, NULL) == PLUMB_OK;
    }
    good = good && plumb_parameters_hash(p, hash) == PLUMB_OK;
    plumb_destroy(&p);
    test_all(good);
}

/* New values of the one take the place of its sum, those of the other do not: in one bucket and in
 * two the same values. */
START_TEST(mixed_bucket)
{
    char together[33] = "", apart[33] = "-";
    mixed_hash(0, together);
    mixed_hash(4096, apart);
    test_all(strcmp(together, apart) == 0);
}
END_TEST

/* Nothing goes from host to host on one; on two as much as both legs of one payload. */
START_TEST(bytes_between_hosts)
{
    double payload = (double)exact_run_elements() * (double)sizeof(float);
    for (int nodes = 1; nodes <= 2 && nodes <= ranks(); nodes++) {
        exact_run r;
        exact_run_init(&r);
        plumb_report report = {.size = sizeof report};
        fault.pretended_nodes = nodes;
        bool held = exact_run_holds(MPI_COMM_WORLD, &r, &report);
        fault.pretended_nodes = 0;
        test_all(held);
        double expected = 2.0 * payload * (nodes - 1);
        test_all((double)report.wire_bytes >= expected);
        test_all(ranks() > 2 || (double)report.wire_bytes <= 1.02 * expected);
        test_all((double)report.exchange_bytes >= 2.0 * payload * (ranks() - 1));
    }
}
END_TEST

/* ---- Gradients that are written in place and looked at by whoever reads them ---- */

enum { MATRIX = 20011, BIAS = 7 };

typedef struct lone {
    plumb *p;
    float matrix[MATRIX], bias[BIAS];
    int rank;
    int64_t first;
} lone;

static void lone_open(lone *l, int shared_memory)
{
    plumb_options options;
    plumb_parameter_options sgd;
    int id;
    memset(l, 0, sizeof *l);
    plumb_options_init(&options, sizeof options);
    options.shared_memory = shared_memory;
    plumb_parameter_options_init(&sgd, sizeof sgd, PLUMB_OPTIMIZER_SGD);
    MPI_Comm_rank(MPI_COMM_WORLD, &l->rank);
    test_all(plumb_create(MPI_COMM_WORLD, &options, &l->p) == PLUMB_OK);
    test_all(plumb_add_parameter(l->p, "matrix", MATRIX, 1, l->matrix, &sgd, &id) == PLUMB_OK);
    test_all(plumb_add_parameter(l->p, "bias", BIAS, 1, l->bias, &sgd, &id) == PLUMB_OK);
    int64_t count = 0;
    test_all(plumb_share(l->p, ranks(), &l->first, &count) == PLUMB_OK && count == 1);
}

/* A step with one micro-batch a rank: all elements are `usual`, one of `where`'s is `odd`. */
static plumb_status lone_step(lone *l, float usual, int where, int id, int element, float odd)
{
    plumb_status status = plumb_begin_step(l->p, ranks());
    for (int i = 0; i < 2 && status == PLUMB_OK; i++) {
        float *buffer = NULL;
        status = plumb_gradient_buffer(l->p, i, &buffer);
        for (int e = 0; status == PLUMB_OK && e < (i == 0 ? MATRIX : BIAS); e++) {
            buffer[e] = l->rank == where && i == id && e == element ? odd : usual;
        }
        status = status == PLUMB_OK ? plumb_accumulate(l->p, i, l->first, buffer) : status;
    }
    return status == PLUMB_OK ? plumb_end_step(l->p, 1.0, NULL) : status;
}

static void expect_named(lone *l, int where, int id, int element, float odd)
{
    char part[64];
    int64_t micro_batch = l->first;
    MPI_Bcast(&micro_batch, 1, MPI_INT64_T, where, MPI_COMM_WORLD);
    snprintf(part, sizeof part, "\"%s\" is not finite (rank %d, micro-batch %lld)",
             id == 0 ? "matrix" : "bias", where, (long long)micro_batch);
    plumb_status status = lone_step(l, 1.0f, where, id, element, odd);
    test_all(trial_refused(l->p, status, PLUMB_ERROR_NONFINITE, part));
}

START_TEST(looked_at_by_the_reader)
{
    static const int elements[] = {0, 4095, 4096, 9999, MATRIX - 1};
    lone *l = malloc(sizeof *l);
    fault.pretended_nodes = _i / 2 == 0 ? 0 : 1 + _i / 2;
    lone_open(l, _i % 2);
    for (int where = 0; where < ranks(); where++) {
        for (int i = 0; i < 5; i++) {
            expect_named(l, where, 0, elements[i], i % 2 == 0 ? NAN : INFINITY);
        }
        expect_named(l, where, 1, BIAS - 1, -INFINITY);
    }
    if (ranks() > 1) {
        plumb_status status = lone_step(l, 3e38f, -1, 0, 0, 0.0f);
        test_all(trial_refused(l->p, status, PLUMB_ERROR_NONFINITE, "though each of them is"));
    }
    test_all(lone_step(l, 2.0f, -1, 0, 0, 0.0f) == PLUMB_OK);
    test_all(l->matrix[MATRIX - 1] == -2.0f && l->bias[0] == -2.0f);
    test_all(plumb_destroy(&l->p) == PLUMB_OK);
    fault.pretended_nodes = 0;
    free(l);
}
END_TEST

/* Windows are given back: many handles, one after the other. */
START_TEST(many_handles)
{
    for (int i = 0; i < 40; i++) {
        lone *l = malloc(sizeof *l);
        lone_open(l, 1);
        test_all(lone_step(l, 1.0f, -1, 0, 0, 0.0f) == PLUMB_OK);
        test_all(i % 3 != 0 || plumb_begin_step(l->p, ranks()) == PLUMB_OK);
        test_all(plumb_destroy(&l->p) == PLUMB_OK);
        free(l);
    }
    int64_t allocations = -1;
    plumb_memory_in_use(&allocations, NULL);
    test_all(allocations == 0);
}
END_TEST

/* plumb_memory_in_use counts what a rank brings to a window, and the list of everybody's. */
START_TEST(counted_memory)
{
    MPI_Comm host;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
    window w;
    test_all(window_make(MPI_COMM_WORLD, host, 4096, &w) == PLUMB_OK);
    int64_t allocations = -1, bytes = -1;
    plumb_memory_in_use(&allocations, &bytes);
    test_all(allocations == 2 && bytes == 4096 + w.size * (int64_t)sizeof *w.bases);
    window_free(&w);
    plumb_memory_in_use(&allocations, &bytes);
    test_all(allocations == 0 && bytes == 0);
    MPI_Comm_free(&host);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("windows");
    TCase *loops = tcase_create("loops");
    tcase_add_loop_test(loops, placements, 0, 6);
    tcase_add_loop_test(loops, looked_at_by_the_reader, 0, 6);
    suite_add_tcase(suite, loops);
    test_add(suite, "counted memory", counted_memory);
    test_add(suite, "curvature", curvature);
    test_add(suite, "memory grows", memory_grows);
    test_add(suite, "no window", no_window);
    test_add(suite, "bytes between hosts", bytes_between_hosts);
    test_add(suite, "mixed bucket", mixed_bucket);
    test_add(suite, "many handles", many_handles);
    return test_run_mpi(suite, &argc, &argv);
}
