/*
 * PLUMB_OPTIMIZER_NONE: the mean gradient itself, in the caller's memory, in the memory the
 * gradients came in, or in the library's; the bits of plumb_average, on any number of ranks and
 * hosts, with windows and without; beside other optimizers, clipped, and by pipelines; and what is
 * refused.
 * ranks: 1 2 5 8
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/fault.h"
#include "support/test.h"

#include "plumb.h"

typedef enum place { OWN_VALUES, LIBRARY, IN_PLACE } place;

static const struct {
    const char *name;
    int64_t rows, cols;
    plumb_optimizer optimizer;
    plumb_pipeline pipeline;
    place where;
} parameters[] = {
    {"row", 1, 7, PLUMB_OPTIMIZER_NONE, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, LIBRARY},
    {"large", 301, 257, PLUMB_OPTIMIZER_NONE, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, LIBRARY},
    {"given", 64, 48, PLUMB_OPTIMIZER_NONE, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, OWN_VALUES},
    {"muon", 40, 24, PLUMB_OPTIMIZER_MUON, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, OWN_VALUES},
    {"there", 170, 151, PLUMB_OPTIMIZER_NONE, PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE, IN_PLACE},
    {"double", 24, 16, PLUMB_OPTIMIZER_NONE, PLUMB_PIPELINE_DOUBLE_ORTHOGONALISE, LIBRARY},
    {"norm", 24, 16, PLUMB_OPTIMIZER_NONE, PLUMB_PIPELINE_NORMALISED_WITH_NORM, IN_PLACE},
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters, MUON = 3, THERE = 4, DOUBLE = 5 };
enum { MOST = 301 * 257 };

typedef struct subject {
    plumb *plumb;
    plumb_options options;
    float *memory[PARAMETERS]; /* values, or a gradient */
    int64_t first, count;      /* of the step's micro-batches */
    int warnings;
} subject;

static int64_t elements(int i)
{
    return parameters[i].rows * parameters[i].cols;
}

static void count_warnings(void *context, plumb_log_level level, const char *line)
{
    (void)line;
    subject *s = context;
    s->warnings += level == PLUMB_LOG_WARNING && strstr(line, "differ") != NULL;
}

static plumb_status add(subject *s, int i)
{
    int id;
    plumb_parameter_options o;
    plumb_parameter_options_init(&o, sizeof o, parameters[i].optimizer);
    o.pipeline = parameters[i].pipeline;
    return plumb_add_parameter(s->plumb, parameters[i].name, parameters[i].rows, parameters[i].cols,
                               parameters[i].where == LIBRARY ? NULL : s->memory[i], &o, &id);
}

static void open_subject(MPI_Comm communicator, const plumb_options *options, subject *s)
{
    *s = (subject){.options = *options};
    s->options.log = count_warnings;
    s->options.log_context = s;
    ck_assert_int_eq(plumb_create(communicator, &s->options, &s->plumb), PLUMB_OK);
    for (int i = 0; i < PARAMETERS; i++) {
        s->memory[i] = calloc((size_t)elements(i), sizeof(float));
        ck_assert_int_eq(add(s, i), PLUMB_OK);
    }
}

static void close_subject(subject *s)
{
    plumb_destroy(&s->plumb);
    for (int i = 0; i < PARAMETERS; i++) {
        free(s->memory[i]);
    }
}

/* Gradient k of a parameter in one step, and its samples. */
static void write_gradient(int step, int64_t k, int i, bool whole, float *gradient)
{
    uint64_t key = (uint64_t)(1000 * step + k), which = (uint64_t)i << 32;
    for (int64_t e = 0; e < elements(i); e++) {
        gradient[e] = whole ? test_integer(key, which, (uint64_t)e, 1000)
                            : test_value(key, which, (uint64_t)e) / 3.0f;
    }
}

static double samples_of(int64_t k)
{
    return 1.0 + (double)(k % 3);
}

/* In a buffer, or in the parameter's memory if the mean is to appear there. */
static plumb_status give(subject *s, int step, int64_t k, int i, bool whole)
{
    float *gradient = s->memory[i];
    if (parameters[i].where != IN_PLACE) {
        plumb_status status = plumb_gradient_buffer(s->plumb, i, &gradient);
        if (status != PLUMB_OK) {
            return status;
        }
    }
    write_gradient(step, k, i, whole, gradient);
    return plumb_accumulate(s->plumb, i, k, gradient);
}

static plumb_status run_step(subject *s, int step, int64_t total, bool whole, plumb_report *report)
{
    plumb_status status = plumb_share(s->plumb, total, &s->first, &s->count);
    if (status == PLUMB_OK) {
        status = plumb_begin_step(s->plumb, total);
    }
    for (int64_t k = s->first; status == PLUMB_OK && k < s->first + s->count; k++) {
        status = plumb_describe_micro_batch(s->plumb, k, samples_of(k), 0.0, NULL, 0);
        for (int i = PARAMETERS - 1; status == PLUMB_OK && i >= 0; i--) {
            status = give(s, step, k, i, whole);
        }
    }
    *report = (plumb_report){.size = sizeof *report};
    return status == PLUMB_OK ? plumb_end_step(s->plumb, 0.01, report) : status;
}

static const float *mean_of(const subject *s, int i)
{
    const float *mean = NULL;
    ck_assert_int_eq(plumb_mean_gradient(s->plumb, i, &mean), PLUMB_OK);
    return mean;
}

/* By plumb_average of all gradients on this rank alone, then clipped. */
static void average(int step, int64_t total, int i, double clip_factor, float *mean)
{
    float *vectors = malloc((size_t)(total * elements(i)) * sizeof *vectors);
    double *samples = malloc((size_t)total * sizeof *samples);
    for (int64_t k = 0; k < total; k++) {
        write_gradient(step, k, i, false, vectors + k * elements(i));
        samples[k] = samples_of(k);
    }
    ck_assert_int_eq(plumb_average(MPI_COMM_SELF, total, elements(i), vectors, samples, mean),
                     PLUMB_OK);
    for (int64_t e = 0; clip_factor != 1.0 && e < elements(i); e++) {
        mean[e] *= (float)clip_factor;
    }
    free(samples);
    free(vectors);
}

/* What every step must leave everywhere: that of a run on this rank alone, and the mean. */
static bool same_means(const subject *s, const subject *alone, int step, int64_t total,
                       double clip_factor)
{
    static float mean[MOST];
    /* plumb_average knows no groups: of powers of two any groups make the same tree. */
    bool good = true, one_tree = (total & (total - 1)) == 0;
    for (int i = 0; i < PARAMETERS; i++) {
        size_t bytes = (size_t)elements(i) * sizeof *mean;
        if (i == MUON) {
            good = good && memcmp(s->memory[i], alone->memory[i], bytes) == 0;
            continue;
        }
        const float *found = mean_of(s, i);
        good = good && memcmp(found, mean_of(alone, i), bytes) == 0;
        good = good && (parameters[i].where == LIBRARY) == (found != s->memory[i]);
        if (i < DOUBLE && one_tree) {
            average(step, total, i, clip_factor, mean);
            good = good && memcmp(found, mean, bytes) == 0;
        }
    }
    return good;
}

static void expect_means(const plumb_options *options, int64_t totals[3])
{
    subject s, alone;
    plumb_options plain;
    plumb_options_init(&plain, sizeof plain);
    plain.groups = options->groups;
    plain.clip_norm = options->clip_norm;
    open_subject(MPI_COMM_WORLD, options, &s);
    open_subject(MPI_COMM_SELF, &plain, &alone);
    for (int step = 0; step < 3; step++) {
        plumb_report report, alone_report;
        test_all(run_step(&s, step, totals[step], false, &report) == PLUMB_OK);
        ck_assert_int_eq(run_step(&alone, step, totals[step], false, &alone_report), PLUMB_OK);
        test_all(report.clip_factor == alone_report.clip_factor);
        test_all((options->clip_norm == 0.0) == (report.clip_factor == 1.0));
        test_all(same_means(&s, &alone, step, totals[step], report.clip_factor));
    }
    test_all(s.warnings == 0);
    close_subject(&alone);
    close_subject(&s);
}

/* Both maps, windows or messages, one to three hosts, large and small buckets, groups kept. */
START_TEST(bits)
{
    plumb_options o;
    plumb_options_init(&o, sizeof o);
    o.owners = _i % 2 == 0 ? PLUMB_OWNERS_SHARDED : PLUMB_OWNERS_RANK0;
    o.shared_memory = _i != 3;
    o.bucket_elements = _i % 3 == 1 ? 4096 : 0;
    o.clip_norm = _i == 4 ? 0.25 : 0.0;
    o.replica_check = 1;
    fault.pretended_nodes = _i < 2 ? 0 : 1 + _i % 3;
    int64_t totals[] = {8, _i < 3 ? 8 : 24, 16};
    o.groups = _i % 2 == 0 ? 8 : 4;
    expect_means(&o, totals);
    fault.pretended_nodes = 0;
}
END_TEST

/* MPI's own order of sums: whole numbers have the same mean in any. */
START_TEST(by_allreduce)
{
    plumb_options o;
    plumb_options_init(&o, sizeof o);
    o.exchange = PLUMB_EXCHANGE_ALLREDUCE;
    plumb *p = NULL;
    plumb_parameter_options none;
    plumb_parameter_options_init(&none, sizeof none, PLUMB_OPTIMIZER_NONE);
    int id;
    int64_t first, count, total = 11;
    test_all(plumb_create(MPI_COMM_WORLD, &o, &p) == PLUMB_OK);
    test_all(plumb_add_parameter(p, "there", 170, 151, NULL, &none, &id) == PLUMB_OK);
    test_all(plumb_share(p, total, &first, &count) == PLUMB_OK);
    test_all(plumb_begin_step(p, total) == PLUMB_OK);
    static float gradient[MOST];
    double *sums = calloc((size_t)elements(THERE), sizeof *sums);
    for (int64_t k = 0; k < total; k++) {
        write_gradient(0, k, THERE, true, gradient);
        for (int64_t e = 0; e < elements(THERE); e++) {
            sums[e] += (double)gradient[e];
        }
        if (k >= first && k < first + count) {
            ck_assert_int_eq(plumb_accumulate(p, id, k, gradient), PLUMB_OK);
        }
    }
    test_all(plumb_end_step(p, 0.0, NULL) == PLUMB_OK);
    const float *mean = NULL;
    test_all(plumb_mean_gradient(p, id, &mean) == PLUMB_OK);
    bool good = true;
    for (int64_t e = 0; e < elements(THERE); e++) {
        good = good && mean[e] == (float)sums[e] / (float)total;
    }
    test_all(good);
    free(sums);
    plumb_destroy(&p);
}
END_TEST

/* Values of this optimizer are no state: neither compared nor hashed nor averaged. */
START_TEST(no_state)
{
    plumb_options o;
    plumb_options_init(&o, sizeof o);
    o.average_weights = PLUMB_AVERAGE_TAIL;
    subject s;
    plumb_report report;
    char before[33], after[33];
    open_subject(MPI_COMM_WORLD, &o, &s);
    test_all(plumb_parameters_hash(s.plumb, before) == PLUMB_OK);
    s.memory[THERE][5] += 1.0f;
    test_all(plumb_parameters_hash(s.plumb, after) == PLUMB_OK);
    test_all(strcmp(before, after) == 0);
    s.memory[MUON][5] += 1.0f;
    test_all(plumb_parameters_hash(s.plumb, after) == PLUMB_OK);
    test_all(strcmp(before, after) != 0);
    test_all(run_step(&s, 0, 8, false, &report) == PLUMB_OK);
    static float average_of_one[MOST];
    test_all(plumb_averaged_values(s.plumb, MUON, average_of_one) == PLUMB_OK);
    size_t bytes = (size_t)elements(MUON) * sizeof *average_of_one;
    test_all(memcmp(average_of_one, s.memory[MUON], bytes) == 0);
    test_all(plumb_averaged_values(s.plumb, THERE, s.memory[THERE]) == PLUMB_ERROR_ARGUMENT);
    close_subject(&s);
}
END_TEST

/* Where ranks begin with different values all take the coordinator's, but not for its gradients. */
START_TEST(different_beginnings)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    plumb_options o;
    plumb_options_init(&o, sizeof o);
    subject s;
    open_subject(MPI_COMM_WORLD, &o, &s);
    s.memory[MUON][0] = s.memory[THERE][0] = (float)(1 + rank);
    test_all(plumb_begin_step(s.plumb, 8) == PLUMB_OK);
    test_all(s.memory[MUON][0] == 1.0f);
    test_all(s.memory[THERE][0] == (float)(1 + rank));
    close_subject(&s);
}
END_TEST

static void expect_no_mean(const subject *s, int id, plumb_status expected)
{
    static const float sentinel = 1.0f;
    const float *mean = &sentinel;
    test_all(plumb_mean_gradient(s->plumb, id, &mean) == expected);
    test_all(mean == &sentinel);
}

START_TEST(refusals)
{
    plumb_options o;
    plumb_options_init(&o, sizeof o);
    subject s;
    plumb_report report;
    open_subject(MPI_COMM_WORLD, &o, &s);
    expect_no_mean(&s, THERE, PLUMB_ERROR_ORDER);
    test_all(run_step(&s, 0, 8, false, &report) == PLUMB_OK);
    expect_no_mean(&s, MUON, PLUMB_ERROR_ARGUMENT);
    expect_no_mean(&s, -1, PLUMB_ERROR_ARGUMENT);
    expect_no_mean(&s, PARAMETERS, PLUMB_ERROR_ARGUMENT);
    test_all(plumb_mean_gradient(s.plumb, THERE, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_mean_gradient(NULL, THERE, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_begin_step(s.plumb, 8) == PLUMB_OK);
    expect_no_mean(&s, THERE, PLUMB_ERROR_ORDER);
    test_all(plumb_end_step(s.plumb, 0.1, NULL) == PLUMB_ERROR_COVERAGE);
    expect_no_mean(&s, THERE, PLUMB_ERROR_ORDER);
    test_all(run_step(&s, 1, 8, false, &report) == PLUMB_OK);
    test_all(mean_of(&s, THERE) == s.memory[THERE]);
    close_subject(&s);
}
END_TEST

/* Options of an update that there is not. */
START_TEST(update_options)
{
    plumb *p = NULL;
    int id = -7;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK);
    for (int i = 0; i < 3; i++) {
        plumb_parameter_options o;
        plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_NONE);
        o.beta1 = i == 0 ? 0.9 : 0.0;
        o.weight_decay = i == 1 ? 0.1 : 0.0;
        o.nesterov = i == 2;
        test_all(plumb_add_parameter(p, "w", 2, 2, NULL, &o, &id) == PLUMB_ERROR_UNSUPPORTED);
    }
    ck_assert_int_eq(id, -7);
    plumb_destroy(&p);
}
END_TEST

/* Memory on one rank, none on another: the second could not take part in what the first does. */
START_TEST(memory_on_some_ranks)
{
    int rank, ranks, id;
    static float values[4];
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    plumb *p = NULL;
    plumb_parameter_options none;
    plumb_parameter_options_init(&none, sizeof none, PLUMB_OPTIMIZER_NONE);
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK);
    float *mine = rank == ranks - 1 ? NULL : values;
    test_all(plumb_add_parameter(p, "w", 2, 2, mine, &none, &id) == PLUMB_OK);
    plumb_status expected = ranks == 1 ? PLUMB_OK : PLUMB_ERROR_MISMATCH;
    test_all(plumb_begin_step(p, 8) == expected);
    test_all(ranks == 1 || strstr(plumb_error_message(p), "values of w") != NULL);
    plumb_destroy(&p);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("mean gradient");
    TCase *tcase = tcase_create("none");
    tcase_add_loop_test(tcase, bits, 0, 7);
    tcase_add_test(tcase, by_allreduce);
    tcase_add_test(tcase, no_state);
    tcase_add_test(tcase, different_beginnings);
    tcase_add_test(tcase, refusals);
    tcase_add_test(tcase, update_options);
    tcase_add_test(tcase, memory_on_some_ranks);
    tcase_set_timeout(tcase, 300);
    suite_add_tcase(suite, tcase);
    return test_run_mpi(suite, &argc, &argv);
}
