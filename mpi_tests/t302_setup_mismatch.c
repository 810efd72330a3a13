/*
 * Ranks that were set up differently: the first step names field, parameter and rank, on all ranks
 * alike, for every option there is; different initial values are made equal, and the log says so.
 * ranks: 2 4
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "support/test.h"
#include "support/trial.h"

typedef struct field {
    const char *name;
    size_t offset;
    bool whole; /* an int or an enum; else a double or an int64_t, see `wide` */
    bool wide;  /* an int64_t */
    double other;
} field;

static const field handle_fields[] = {
    {"groups", offsetof(plumb_options, groups), true, false, 2},
    {"owners", offsetof(plumb_options, owners), true, false, PLUMB_OWNERS_RANK0},
    {"exchange", offsetof(plumb_options, exchange), true, false, PLUMB_EXCHANGE_ALLREDUCE},
    {"clip_norm", offsetof(plumb_options, clip_norm), false, false, 1e-12},
    {"nominal_samples", offsetof(plumb_options, nominal_samples), false, false, 2.0},
    {"bucket_elements", offsetof(plumb_options, bucket_elements), false, true, 8192},
    {"chunk_elements", offsetof(plumb_options, chunk_elements), false, true, 8192},
    {"average_weights", offsetof(plumb_options, average_weights), true, false, PLUMB_AVERAGE_EMA},
    {"average_beta", offsetof(plumb_options, average_beta), false, false, 0.5},
    {"average_from", offsetof(plumb_options, average_from), false, true, 3},
    {"replica_check", offsetof(plumb_options, replica_check), true, false, 99},
    {"shared_memory", offsetof(plumb_options, shared_memory), true, false, 0},
    {"spread_panels", offsetof(plumb_options, spread_panels), true, false, 0},
    {"diagnostics", offsetof(plumb_options, diagnostics), true, false, PLUMB_DIAGNOSTICS_FULL},
    {"diagnostics_every", offsetof(plumb_options, diagnostics_every), true, false, 19},
    {"population", offsetof(plumb_options, population), false, false, 1e9},
};

static const field parameter_fields[] = {
    {"optimizer", offsetof(plumb_parameter_options, optimizer), true, false, PLUMB_OPTIMIZER_SGD},
    {"pipeline", offsetof(plumb_parameter_options, pipeline), true, false, 2},
    {"polar", offsetof(plumb_parameter_options, polar), true, false, 0},
    {"polar_steps", offsetof(plumb_parameter_options, polar_steps), true, false, 3},
    {"polar_delta", offsetof(plumb_parameter_options, polar_delta), false, false, 0.5},
    {"weights", offsetof(plumb_parameter_options, weights), true, false, PLUMB_WEIGHTS_ECHO},
    {"learning_rate_factor", offsetof(plumb_parameter_options, learning_rate_factor), false, false,
     1.0 + 1e-15},
    {"beta1", offsetof(plumb_parameter_options, beta1), false, false, 0.75},
    {"beta2", offsetof(plumb_parameter_options, beta2), false, false, 0.75},
    {"epsilon", offsetof(plumb_parameter_options, epsilon), false, false, 1e-9},
    {"weight_decay", offsetof(plumb_parameter_options, weight_decay), false, false, 0.3},
    {"nesterov", offsetof(plumb_parameter_options, nesterov), true, false, 0},
    {"rho", offsetof(plumb_parameter_options, rho), false, false, 0.25},
    {"clip", offsetof(plumb_parameter_options, clip), false, false, 2.0},
    {"curvature_interval", offsetof(plumb_parameter_options, curvature_interval), true, false, 3},
    {"exponent", offsetof(plumb_parameter_options, exponent), false, false, 0.5},
    {"damping", offsetof(plumb_parameter_options, damping), false, false, 1e-3},
    {"relative_damping", offsetof(plumb_parameter_options, relative_damping), false, false, 1e-3},
    {"root_interval", offsetof(plumb_parameter_options, root_interval), true, false, 3},
    {"root_failures", offsetof(plumb_parameter_options, root_failures), true, false, 7},
    {"root_method", offsetof(plumb_parameter_options, root_method), true, false,
     PLUMB_ROOT_RATIONAL},
    {"block_size", offsetof(plumb_parameter_options, block_size), false, true, 64},
    {"grafting", offsetof(plumb_parameter_options, grafting), true, false, PLUMB_GRAFTING_SGD},
    {"bias_correction", offsetof(plumb_parameter_options, bias_correction), true, false, 0},
    {"cost_seconds", offsetof(plumb_parameter_options, cost_seconds), false, false, 0.5},
};
enum {
    HANDLE_FIELDS = sizeof handle_fields / sizeof handle_fields[0],
    PARAMETER_FIELDS = sizeof parameter_fields / sizeof parameter_fields[0]
};

static void set_field(void *options, const field *f)
{
    char *at = (char *)options + f->offset;
    int whole = (int)f->other;
    int64_t wide = (int64_t)f->other;
    if (f->whole) {
        memcpy(at, &whole, sizeof whole);
    } else if (f->wide) {
        memcpy(at, &wide, sizeof wide);
    } else {
        memcpy(at, &f->other, sizeof f->other);
    }
}

static int rank_of_world(void)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

static int last_rank(void)
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size - 1;
}

static bool is_last(void)
{
    return rank_of_world() == last_rank();
}

/* The first step is refused twice, with this in the message; then everything can be freed. */
static void expect_mismatch(trial *t, const char *part)
{
    for (int i = 0; i < 2; i++) {
        plumb_status status = plumb_begin_step(t->p, TRIAL_TOTAL);
        test_all(trial_refused(t->p, status, PLUMB_ERROR_MISMATCH, part));
    }
    float gradient[7] = {0};
    test_all(plumb_accumulate(t->p, 2, 0, gradient) == PLUMB_ERROR_ORDER);
    test_all(trial_close(t));
}

START_TEST(options_of_the_handle)
{
    for (int i = 0; i < HANDLE_FIELDS; i++) {
        trial t;
        plumb_options options;
        trial_options(&t, &options);
        if (is_last()) {
            set_field(&options, &handle_fields[i]);
        }
        test_all(trial_open(&t, &options) == PLUMB_OK);
        char part[80];
        snprintf(part, sizeof part, "rank %d has \"%s = ", last_rank(), handle_fields[i].name);
        expect_mismatch(&t, part);
    }
}
END_TEST

START_TEST(options_of_a_parameter)
{
    for (int i = 0; i < PARAMETER_FIELDS; i++) {
        trial t;
        test_all(trial_create(&t, NULL) == PLUMB_OK);
        plumb_parameter_options options;
        trial_parameter_options(0, &options);
        if (is_last()) {
            set_field(&options, &parameter_fields[i]);
        }
        test_all(trial_register(&t, 0, &options) == PLUMB_OK);
        test_all(trial_register(&t, 1, NULL) == PLUMB_OK);
        char part[80];
        snprintf(part, sizeof part, "rank %d has \"%s of matrix = ", last_rank(),
                 parameter_fields[i].name);
        expect_mismatch(&t, part);
    }
}
END_TEST

/* Fields that need a correction: all ranks have the same one, the last with another value. */
START_TEST(options_of_a_correction)
{
    static const field fields[] = {
        {"correction", offsetof(plumb_parameter_options, correction), true, false,
         PLUMB_CORRECTION_PAPER_FULL},
        {"paper_mixing", offsetof(plumb_parameter_options, paper_mixing), false, false, 0.5},
        {"paper_support_clip", offsetof(plumb_parameter_options, paper_support_clip), false, false,
         4.0},
        {"noise_floor", offsetof(plumb_parameter_options, noise_floor), false, false, 0.5},
        {"folds", offsetof(plumb_parameter_options, folds), true, false, 2},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        trial t;
        plumb_parameter_options options;
        test_all(trial_create(&t, NULL) == PLUMB_OK);
        trial_parameter_options(1, &options);
        bool published = i < 3;
        options.correction = published ? PLUMB_CORRECTION_PAPER_CF : PLUMB_CORRECTION_LOO;
        if (is_last()) {
            set_field(&options, &fields[i]);
        }
        test_all(trial_register(&t, 1, &options) == PLUMB_OK);
        char part[80];
        snprintf(part, sizeof part, "rank %d has \"%s of vector = ", last_rank(), fields[i].name);
        plumb_status status = plumb_begin_step(t.p, TRIAL_TOTAL);
        test_all(trial_refused(t.p, status, PLUMB_ERROR_MISMATCH, part));
        test_all(trial_close(&t));
    }
}
END_TEST

/* A name of the greatest length still leaves room for the value that differs. */
START_TEST(long_names)
{
    char name[128];
    memset(name, 'n', 127);
    name[127] = '\0';
    trial t;
    test_all(trial_create(&t, NULL) == PLUMB_OK);
    plumb_parameter_options options;
    trial_parameter_options(1, &options);
    options.learning_rate_factor = is_last() ? 1234.5 : 0.25;
    int id;
    test_all(plumb_add_parameter(t.p, name, 1, 9001, t.values[1], &options, &id) == PLUMB_OK);
    plumb_status status = plumb_begin_step(t.p, TRIAL_TOTAL);
    test_all(trial_refused(t.p, status, PLUMB_ERROR_MISMATCH, "= 1234.5\" where"));
    test_all(strstr(plumb_error_message(t.p), "= 0.25\"") != NULL);
    test_all(trial_close(&t));
}
END_TEST

static void add(trial *t, const char *name, int64_t rows, int64_t cols)
{
    int id;
    test_all(plumb_add_parameter(t->p, name, rows, cols, t->values[1], NULL, &id) == PLUMB_OK);
}

START_TEST(names_and_shapes)
{
    trial t;
    test_all(trial_create(&t, NULL) == PLUMB_OK);
    add(&t, is_last() ? "bias" : "gain", 1, 8);
    expect_mismatch(&t, "parameter 0 = bias");
    test_all(trial_create(&t, NULL) == PLUMB_OK);
    add(&t, "gain", is_last() ? 2 : 4, is_last() ? 4 : 2);
    expect_mismatch(&t, "parameter 0 = gain, 2 x 4\" where rank 0 has \"parameter 0 = gain, 4 x 2");
    test_all(trial_create(&t, NULL) == PLUMB_OK);
    add(&t, "gain", 1, 8);
    if (is_last()) {
        int id;
        plumb_add_parameter(t.p, "more", 1, 8, t.values[1] + 8, NULL, &id);
    }
    test_all(true);
    expect_mismatch(&t, "number of parameters = 2\" where rank 0 has \"number of parameters = 1");
}
END_TEST

START_TEST(no_parameters)
{
    trial t;
    test_all(trial_create(&t, NULL) == PLUMB_OK);
    plumb_status status = plumb_begin_step(t.p, TRIAL_TOTAL);
    test_all(trial_refused(t.p, status, PLUMB_ERROR_ORDER, "no parameters"));
    if (!is_last()) {
        trial_register(&t, 0, NULL);
    }
    status = plumb_begin_step(t.p, TRIAL_TOTAL);
    test_all(trial_refused(t.p, status, PLUMB_ERROR_ORDER, "no parameters"));
    status = plumb_check_replicas(t.p);
    test_all(trial_refused(t.p, status, PLUMB_ERROR_ORDER, "no parameters"));
    for (int i = is_last() ? 0 : 1; i < TRIAL_PARAMETERS; i++) {
        trial_register(&t, i, NULL);
    }
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(bad_options_on_one_rank)
{
    trial t;
    plumb_options options;
    for (int i = 0; i < 4; i++) {
        static const char *const parts[] = {"clip_norm", "groups", "plumb_options_init",
                                            "chunk_elements"};
        trial_options(&t, &options);
        if (is_last()) {
            options.clip_norm = i == 0 ? -1.0 : 0.0;
            options.groups = i == 1 ? -2 : 0;
            options.size -= i == 2;
            options.chunk_elements = i == 3 ? -1 : 0;
        }
        plumb_status status = trial_create(&t, &options);
        test_all(t.p == NULL);
        test_all(trial_refused(NULL, status, PLUMB_ERROR_ARGUMENT, parts[i]));
        test_all(trial_close(&t));
    }
}
END_TEST

START_TEST(pipelines_need_the_transposed_exchange)
{
    trial t;
    plumb_options options;
    trial_options(&t, &options);
    options.exchange = PLUMB_EXCHANGE_ALLREDUCE;
    test_all(trial_create(&t, &options) == PLUMB_OK);
    plumb_parameter_options muon;
    trial_parameter_options(0, &muon);
    for (int pipeline = 1; pipeline <= (int)PLUMB_PIPELINE_ORTHOGONALISED_WITH_FACTOR; pipeline++) {
        muon.pipeline = (plumb_pipeline)pipeline;
        plumb_status status = trial_register(&t, 0, &muon);
        test_all(trial_refused(t.p, status, PLUMB_ERROR_UNSUPPORTED, "\"matrix\": its pipeline"));
    }
    for (int i = 0; i < TRIAL_PARAMETERS; i++) {
        test_all(trial_register(&t, i, NULL) == PLUMB_OK);
    }
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_close(&t));
}
END_TEST

START_TEST(initial_values)
{
    trial t;
    char expected[33];
    char hash[33];
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK);
    test_all(trial_hash(&t, expected));
    test_all(strstr(t.log, "values differ") == NULL);
    test_all(trial_close(&t));
    test_all(trial_open(&t, NULL) == PLUMB_OK);
    /* Every element everywhere: an owner's own value would hide what others have. */
    for (int i = 0; i < TRIAL_PARAMETERS && rank_of_world() > 0; i++) {
        for (int64_t e = 0; e < trial_elements(i); e++) {
            t.values[i][e] += (float)rank_of_world();
        }
    }
    test_all(trial_step(&t, 0) == PLUMB_OK);
    bool told = strstr(t.log, "values differ between ranks") != NULL;
    test_all(told == (rank_of_world() == 0));
    test_all(trial_hash(&t, hash) && strcmp(hash, expected) == 0);
    test_all(trial_close(&t));
}
END_TEST

/* A caller who writes to values between steps is found by the check, before anything changes. */
START_TEST(values_that_drift)
{
    trial t;
    plumb_options options;
    trial_options(&t, &options);
    options.replica_check = 2;
    test_all(trial_open(&t, &options) == PLUMB_OK);
    test_all(plumb_check_replicas(t.p) == PLUMB_OK);
    test_all(trial_step(&t, 0) == PLUMB_OK);
    if (is_last()) {
        t.values[1][17] += 0.5f;
    }
    plumb_status status = plumb_check_replicas(t.p);
    char part[80];
    snprintf(part, sizeof part, "rank %d has \"parameters_hash", last_rank());
    test_all(trial_refused(t.p, status, PLUMB_ERROR_MISMATCH, part));
    /* The next step begins with the coordinator's values. */
    test_all(trial_step(&t, 1) == PLUMB_OK);
    test_all(plumb_check_replicas(t.p) == PLUMB_OK);
    test_all(trial_step(&t, 2) == PLUMB_OK);
    float kept = t.values[1][17];
    if (is_last()) {
        t.values[1][17] += 0.5f;
    }
    /* The fourth step's own check finds it, before anything changes. */
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    test_all(trial_give(&t, 3, TRIAL_TOTAL) == PLUMB_OK);
    status = plumb_end_step(t.p, 0.03, NULL);
    test_all(trial_refused(t.p, status, PLUMB_ERROR_MISMATCH, part));
    test_all(t.values[1][17] == (is_last() ? kept + 0.5f : kept));
    test_all(trial_step(&t, 3) == PLUMB_OK);
    test_all(plumb_check_replicas(t.p) == PLUMB_OK);
    test_all(trial_close(&t));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("setup mismatch");
    test_add(suite, "options of the handle", options_of_the_handle);
    test_add(suite, "options of a parameter", options_of_a_parameter);
    test_add(suite, "options of a correction", options_of_a_correction);
    test_add(suite, "long names", long_names);
    test_add(suite, "names and shapes", names_and_shapes);
    test_add(suite, "no parameters", no_parameters);
    test_add(suite, "bad options on one rank", bad_options_on_one_rank);
    test_add(suite, "pipelines need the transposed exchange",
             pipelines_need_the_transposed_exchange);
    test_add(suite, "initial values", initial_values);
    test_add(suite, "values that drift", values_that_drift);
    return test_run_mpi(suite, &argc, &argv);
}
