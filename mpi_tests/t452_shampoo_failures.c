/*
 * Decompositions that fail in Shampoo and SOAP: tried again with more damping, then the last good
 * result, then an error that names side and block and leaves everything as it was. And statistics
 * of 0, which need no decomposition, and options that cannot work.
 * ranks: 1 2 4
 */
#include <math.h>
#include <stdio.h>

#include "linalg/spectrum.h"
#include "optim/shampoo_decompose.h"
#include "support/matrix_problem.h"
#include "support/trial.h"

/* Faults that spend all attempts of one decomposition. */
enum { ALL_ATTEMPTS = 1 + SHAMPOO_RETRIES };

static const plumb_optimizer optimizers[] = {PLUMB_OPTIMIZER_SHAMPOO, PLUMB_OPTIMIZER_SOAP};
static const char *const results[] = {"left_root", "left_basis"};
static const char *const standings[] = {"root_standing", "basis_standing"};

static void begin(matrix_problem *p, plumb_optimizer optimizer)
{
    matrix_problem_init(p, optimizer, 6, 5);
    p->base.options.root_interval = 1;
    p->base.options.root_failures = 2;
}

/* SOAP decomposes first in the second update, what it has seen in the first. */
static void begin_seen(matrix_problem *p, plumb_optimizer optimizer)
{
    begin(p, optimizer);
    if (optimizer == PLUMB_OPTIMIZER_SOAP) {
        problem_gradient(&p->base, 0.5f);
        matrix_problem_step(p, 0.1);
    }
}

static plumb_status try_step(matrix_problem *p, int faults)
{
    problem_gradient(&p->base, 0.5f);
    spectrum_faults = faults;
    plumb_status status = matrix_problem_update(p, 0.1);
    spectrum_faults = 0;
    return status;
}

static void step(matrix_problem *p, int faults)
{
    ck_assert_msg(try_step(p, faults) == PLUMB_OK, "%s", error_text());
    matrix_problem_commit(p);
}

static void assert_text(const char *part)
{
    ck_assert_msg(strstr(error_text(), part) != NULL, "\"%s\" is not in \"%s\"", part,
                  error_text());
}

/* Every attempt but the last fails: the root has the third retry's damping, and counts once. */
START_TEST(retries)
{
    for (int faults = 1; faults < ALL_ATTEMPTS; faults++) {
        matrix_problem p;
        begin(&p, PLUMB_OPTIMIZER_SHAMPOO);
        p.base.options.grafting = PLUMB_GRAFTING_NONE;
        p.base.options.damping = 1e-3;
        p.base.options.relative_damping = 0.0;
        matrix_problem plain;
        begin(&plain, PLUMB_OPTIMIZER_SHAMPOO);
        plain.base.options = p.base.options;
        plain.base.options.damping = 1e-3 * pow(10.0, faults);
        step(&p, faults);
        step(&plain, 0);
        ck_assert_int_eq(p.base.counts.roots_failed, 1);
        double *root = matrix_problem_state(&p, "left_root", -1);
        double *expected = matrix_problem_state(&plain, "left_root", -1);
        for (int i = 0; i < 36; i++) {
            ck_assert_double_eq_tol(root[i], expected[i], 1e-9 * fabs(expected[0]));
        }
        ck_assert_double_eq(matrix_problem_state(&p, "root_standing", -1)[0], 1.0);
        matrix_problem_free(&p);
        matrix_problem_free(&plain);
    }
}
END_TEST

START_TEST(none_yet)
{
    for (int i = 0; i < 2; i++) {
        matrix_problem p;
        begin_seen(&p, optimizers[i]);
        ck_assert_int_eq(try_step(&p, ALL_ATTEMPTS), PLUMB_ERROR_NUMERICAL);
        assert_text("left factor of block (0, 0)");
        assert_text("never before");
        assert_text("injected");
        step(&p, 0);
        ck_assert_double_eq(matrix_problem_state(&p, standings[i], -1)[0], 1.0);
        matrix_problem_free(&p);
    }
}
END_TEST

/* Two failures in a row are borne with the last good result; a good one makes up for them. */
START_TEST(in_a_row)
{
    for (int i = 0; i < 2; i++) {
        matrix_problem p;
        double good[36];
        begin_seen(&p, optimizers[i]);
        step(&p, 0);
        memcpy(good, matrix_problem_state(&p, results[i], -1), sizeof good);
        for (int turn = 0; turn < 2; turn++) {
            for (int failures = 1; failures <= 2; failures++) {
                step(&p, ALL_ATTEMPTS);
                ck_assert_mem_eq(matrix_problem_state(&p, results[i], -1), good, sizeof good);
                ck_assert_double_eq(matrix_problem_state(&p, standings[i], -1)[0], 1.0 + failures);
                ck_assert_double_eq(matrix_problem_state(&p, standings[i], -1)[1], 1.0);
            }
            ck_assert_int_eq(p.base.counts.roots_failed, 2 + 3 * turn);
            ck_assert_int_eq(try_step(&p, ALL_ATTEMPTS), PLUMB_ERROR_NUMERICAL);
            assert_text("3 times in a row");
            step(&p, 0);
            ck_assert_double_eq(matrix_problem_state(&p, standings[i], -1)[0], 1.0);
            ck_assert(memcmp(matrix_problem_state(&p, results[i], -1), good, sizeof good) != 0);
            memcpy(good, matrix_problem_state(&p, results[i], -1), sizeof good);
        }
        p.base.options.root_failures = 0;
        ck_assert_int_eq(try_step(&p, ALL_ATTEMPTS), PLUMB_ERROR_NUMERICAL);
        assert_text("1 time in a row");
        matrix_problem_free(&p);
    }
}
END_TEST

/* Between root steps nothing is decomposed, so nothing fails. */
START_TEST(only_when_due)
{
    for (int i = 0; i < 2; i++) {
        matrix_problem p;
        begin_seen(&p, optimizers[i]);
        p.base.options.root_interval = 3;
        p.base.options.root_failures = 0;
        step(&p, 0);
        step(&p, 1000);
        step(&p, 1000);
        ck_assert_int_eq(p.base.counts.roots_failed, 0);
        ck_assert_int_eq(try_step(&p, 1000), PLUMB_ERROR_NUMERICAL);
        matrix_problem_free(&p);
    }
}
END_TEST

/* A gradient that is 0 in the first of 2 x 2 blocks. */
static void block_gradient(matrix_problem *p)
{
    problem_gradient(&p->base, 0.5f);
    for (int k = 0; k < 9; k++) {
        p->base.gradient[k / 3 * 5 + k % 3] = 0.0f;
    }
}

/* It is not decomposed, and the next one is at fault. */
START_TEST(zero_block)
{
    for (int i = 0; i < 2; i++) {
        matrix_problem p;
        begin(&p, optimizers[i]);
        p.base.options.block_size = 3;
        p.base.options.root_interval = 100;
        p.base.options.weight_decay = 0.0;
        float before[3];
        memcpy(before, p.base.values, sizeof before);
        block_gradient(&p);
        if (i == 1) {
            matrix_problem_step(&p, 0.1);
        }
        spectrum_faults = ALL_ATTEMPTS;
        ck_assert_int_eq(matrix_problem_update(&p, 0.1), PLUMB_ERROR_NUMERICAL);
        assert_text("block (0, 1)");
        spectrum_faults = 0;
        for (int t = 0; t < 3; t++) {
            block_gradient(&p);
            matrix_problem_step(&p, 0.1);
            ck_assert_mem_eq(p.base.values, before, sizeof before);
            ck_assert_double_eq(matrix_problem_state(&p, standings[i], -1)[0], 0.0);
            ck_assert_double_eq(matrix_problem_state(&p, standings[i], -1)[2], 1.0);
        }
        /* Its first gradient counts at once, or in SOAP's next step: long before the next turn. */
        step(&p, 0);
        ck_assert(memcmp(p.base.values, before, sizeof before) != 0);
        step(&p, 0);
        ck_assert_double_eq(matrix_problem_state(&p, standings[i], -1)[0], 1.0);
        ck_assert_int_eq(p.base.counts.roots_failed, 1);
        matrix_problem_free(&p);
    }
}
END_TEST

/* Gradients of 0 altogether, for every correction. */
START_TEST(nothing_but_zeros)
{
    static const plumb_correction corrections[] = {
        PLUMB_CORRECTION_NONE,      PLUMB_CORRECTION_SECOND_ORDER, PLUMB_CORRECTION_WISHART,
        PLUMB_CORRECTION_JACKKNIFE, PLUMB_CORRECTION_HALF_SAMPLE,  PLUMB_CORRECTION_PAPER_DIAGONAL,
        PLUMB_CORRECTION_MOMENT};
    for (int i = 0; i < 7; i++) {
        matrix_problem p;
        begin(&p, i < 6 ? PLUMB_OPTIMIZER_SHAMPOO : PLUMB_OPTIMIZER_SOAP);
        p.base.options.correction = corrections[i];
        p.base.options.noise_floor = i == 3 || i == 4 ? 1.0 : 0.0;
        p.base.options.weight_decay = 0.0;
        p.base.groups = 4;
        float before[30];
        memcpy(before, p.base.values, sizeof before);
        matrix_problem_step(&p, 0.1);
        matrix_problem_step(&p, 0.1);
        ck_assert_mem_eq(p.base.values, before, sizeof before);
        matrix_problem_free(&p);
    }
}
END_TEST

/* Nine rows of two columns without damping: L has seven eigenvalues of 0, and a second attempt. */
START_TEST(singular)
{
    matrix_problem p;
    matrix_problem_init(&p, PLUMB_OPTIMIZER_SHAMPOO, 9, 2);
    p.base.options.damping = 0.0;
    p.base.options.relative_damping = 0.0;
    problem_gradient(&p.base, 0.5f);
    matrix_problem_step(&p, 0.1);
    ck_assert_int_eq(p.base.counts.roots_failed, 1);
    matrix_problem_free(&p);
}
END_TEST

typedef struct wrong {
    const char *part;
    plumb_status status;
    plumb_correction correction;
    double noise_floor;
    int folds, groups; /* groups 0: refused without */
} wrong;

static void expect_refused(plumb_optimizer optimizer, const wrong *w)
{
    plumb_parameter_options o;
    plumb_parameter_options_init(&o, sizeof o, optimizer);
    o.correction = w->correction;
    o.noise_floor = w->noise_floor;
    o.folds = w->folds;
    plumb_status status = optimizer_validate(&o, 6, 5);
    if (w->groups > 0) {
        ck_assert_msg(status == PLUMB_OK, "%s: %s", w->part, error_text());
        status = optimizer_find(optimizer)->validate_groups(&o, w->groups);
    }
    ck_assert_msg(status == w->status, "%s: %d, %s", w->part, (int)status, error_text());
    assert_text(w->part);
}

START_TEST(wrong_corrections)
{
    static const wrong cases[] = {
        {"has no correction", PLUMB_ERROR_UNSUPPORTED, PLUMB_CORRECTION_MOMENT, 0, 0, 0},
        {"has no correction", PLUMB_ERROR_UNSUPPORTED, PLUMB_CORRECTION_LOO, 0, 0, 0},
        {"needs noise_floor 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_JACKKNIFE, 0, 0, 0},
        {"needs noise_floor 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_JACKKNIFE, 0.25, 0, 0},
        {"needs noise_floor 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_HALF_SAMPLE, 0, 0, 0},
        {"as published", PLUMB_ERROR_UNSUPPORTED, PLUMB_CORRECTION_PAPER_DIAGONAL, 1, 0, 0},
        {"folds", PLUMB_ERROR_UNSUPPORTED, PLUMB_CORRECTION_WISHART, 0, 2, 0},
        {"folds", PLUMB_ERROR_UNSUPPORTED, PLUMB_CORRECTION_HALF_SAMPLE, 1, 4, 0},
        {"folds", PLUMB_ERROR_UNSUPPORTED, PLUMB_CORRECTION_NONE, 0, 2, 0},
        {"folds is 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_JACKKNIFE, 1, 1, 0},
        {"needs 2 groups or more; there is 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_SECOND_ORDER,
         0, 0, 1},
        {"needs 2 groups or more; there is 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_JACKKNIFE, 1,
         0, 1},
        {"needs 2 groups or more; there is 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_WISHART, 1, 0,
         1},
        {"3 do not divide", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_HALF_SAMPLE, 1, 0, 3},
        {"4 folds: 6 do not divide", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_JACKKNIFE, 1, 4, 6},
        {"needs 4 groups or more", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_PAPER_DIAGONAL, 0, 0, 2},
        {"2 folds: 5 do not divide", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_PAPER_DIAGONAL, 0, 0,
         5},
        {"below 1/8", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_SECOND_ORDER, 0.1, 0, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        expect_refused(PLUMB_OPTIMIZER_SHAMPOO, &cases[i]);
    }
    static const wrong of_soap[] = {
        {"has no correction", PLUMB_ERROR_UNSUPPORTED, PLUMB_CORRECTION_WISHART, 0, 0, 0},
        {"needs noise_floor 1", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_JACKKNIFE, 0, 0, 0},
        {"groups or more", PLUMB_ERROR_ARGUMENT, PLUMB_CORRECTION_MOMENT, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof of_soap / sizeof *of_soap; i++) {
        expect_refused(PLUMB_OPTIMIZER_SOAP, &of_soap[i]);
    }
}
END_TEST

static void expect_status(const plumb_parameter_options *o, int64_t rows, plumb_status expected,
                          const char *part)
{
    ck_assert_int_eq(optimizer_validate(o, rows, 5), expected);
    assert_text(part);
}

START_TEST(wrong_options)
{
    plumb_parameter_options good, o;
    for (int i = 0; i < 2; i++) {
        plumb_parameter_options_init(&good, sizeof good, optimizers[i]);
        ck_assert_int_eq(optimizer_validate(&good, 6, 5), PLUMB_OK);
        o = good;
        o.nesterov = 1;
        expect_status(&o, 6, PLUMB_ERROR_UNSUPPORTED, "nesterov");
        o = good;
        o.block_size = 40000;
        ck_assert_int_eq(optimizer_validate(&o, 6, 5), PLUMB_OK);
        expect_status(&o, 40000, PLUMB_ERROR_ARGUMENT, "block_size");
        o.block_size = 0;
        expect_status(&o, 6, PLUMB_ERROR_ARGUMENT, "block_size");
        o = good;
        o.correction = i == 0 ? PLUMB_CORRECTION_WISHART : PLUMB_CORRECTION_MOMENT;
        o.pipeline = PLUMB_PIPELINE_NORMALISED_WITH_NORM;
        expect_status(&o, 6, PLUMB_ERROR_UNSUPPORTED, "pipeline");
    }
    plumb_parameter_options_init(&good, sizeof good, PLUMB_OPTIMIZER_SHAMPOO);
    o = good;
    o.exponent = 0.3;
    expect_status(&o, 6, PLUMB_ERROR_ARGUMENT, "exponent is 0.3");
    o = good;
    o.paper_mixing = 0.5;
    expect_status(&o, 6, PLUMB_ERROR_UNSUPPORTED, "paper_mixing");
}
END_TEST

static plumb_status open_trial(trial *t, plumb_optimizer optimizer)
{
    plumb_status status = trial_create(t, NULL);
    for (int i = 0; i < TRIAL_PARAMETERS && status == PLUMB_OK; i++) {
        plumb_parameter_options options;
        trial_parameter_options(i, &options);
        if (i == 0) {
            plumb_parameter_options_init(&options, sizeof options, optimizer);
            options.root_interval = 1;
            options.root_failures = 0;
        }
        status = trial_register(t, i, &options);
    }
    return status;
}

/* A run of good steps 0 .. 3, with a failing one between if `spoiled`; its hash. */
static bool run(plumb_optimizer optimizer, bool spoiled, char hash[33])
{
    trial t;
    bool good = test_agree(open_trial(&t, optimizer) == PLUMB_OK);
    for (int i = 0; i < 4 && good; i++) {
        if (spoiled && i > 0) {
            spectrum_faults = ALL_ATTEMPTS;
            good = plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK &&
                   trial_give(&t, 50 + i, TRIAL_TOTAL) == PLUMB_OK;
            plumb_status status = plumb_end_step(t.p, 0.03, NULL);
            spectrum_faults = 0;
            good = trial_refused(t.p, status, PLUMB_ERROR_NUMERICAL, "parameter \"matrix\"") &&
                   strstr(plumb_error_message(t.p), "left factor of block (0, 0)") != NULL && good;
        }
        good = test_agree(good && trial_step(&t, i) == PLUMB_OK);
    }
    good = good && trial_hash(&t, hash);
    return trial_close(&t) && good;
}

START_TEST(steps_that_fail)
{
    for (int i = 0; i < 2; i++) {
        char expected[33], hash[33];
        test_all(run(optimizers[i], false, expected));
        test_all(run(optimizers[i], true, hash));
        test_all(strcmp(hash, expected) == 0);
    }
}
END_TEST

/* The count comes to every rank. */
START_TEST(reported)
{
    trial t;
    test_all(open_trial(&t, PLUMB_OPTIMIZER_SHAMPOO) == PLUMB_OK);
    plumb_report report = {.size = sizeof report};
    spectrum_faults = 1;
    test_all(plumb_begin_step(t.p, TRIAL_TOTAL) == PLUMB_OK);
    test_all(trial_give(&t, 0, TRIAL_TOTAL) == PLUMB_OK);
    plumb_status status = plumb_end_step(t.p, 0.03, &report);
    spectrum_faults = 0;
    test_all(status == PLUMB_OK);
    test_all(report.roots_failed == 1);
    test_all(trial_close(&t));
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("shampoo failures");
    test_add(suite, "retries", retries);
    test_add(suite, "none yet", none_yet);
    test_add(suite, "in a row", in_a_row);
    test_add(suite, "only when due", only_when_due);
    test_add(suite, "zero block", zero_block);
    test_add(suite, "nothing but zeros", nothing_but_zeros);
    test_add(suite, "singular", singular);
    test_add(suite, "wrong corrections", wrong_corrections);
    test_add(suite, "wrong options", wrong_options);
    test_add(suite, "steps that fail", steps_that_fail);
    test_add(suite, "reported", reported);
    return test_run_mpi(suite, &argc, &argv);
}
