/*
 * Steps that fail while the owners of panels work together: on one rank only, at every point of the
 * way. All ranks get the same failure, which names its true cause, nobody waits for ever, no state
 * is touched, and the run goes on.
 *
 * ranks: 1 2 3
 * seconds: 900
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/panel_run.h"
#include "support/test.h"
#include "support/trial.h"

/* Counted down by every allocation, and by every product: which one fails; 0: none. */
static int until_failure, until_nan;

void *aligned_alloc(size_t alignment, size_t size)
{
    if (until_failure > 0 && --until_failure == 0) {
        errno = ENOMEM;
        return NULL;
    }
    void *pointer = NULL;
    return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
}

/* As in cblas.h, whose enumerations are ints. */
typedef void sgemm(int order, int left_form, int right_form, int rows, int cols, int inner,
                   float alpha, const float *left, int left_stride, const float *right,
                   int right_stride, float beta, float *result, int stride);
sgemm cblas_sgemm;

/* The real one, whose result is then full of NaN if it is this one's turn. */
void cblas_sgemm(int order, int left_form, int right_form, int rows, int cols, int inner,
                 float alpha, const float *left, int left_stride, const float *right,
                 int right_stride, float beta, float *result, int stride)
{
    static sgemm *real;
    if (real == NULL) {
        void *symbol = dlsym(RTLD_NEXT, "cblas_sgemm");
        memcpy(&real, &symbol, sizeof real);
    }
    real(order, left_form, right_form, rows, cols, inner, alpha, left, left_stride, right,
         right_stride, beta, result, stride);
    for (int i = 0; until_nan == 1 && i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            result[(int64_t)i * stride + j] = NAN;
        }
    }
    until_nan -= until_nan > 0;
}

static bool is_last(void)
{
    int rank = 0;
    int size = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return rank == size - 1;
}

/* Few panels and a vector beside them: whatever fails, the rest goes through with it. */
static void open_run(panel_run *r)
{
    panel_run_init(r);
    r->first = 1;
    test_all(panel_run_open(r, MPI_COMM_WORLD) == PLUMB_OK);
}

static void hash_of(const panel_run *r, char hash[33])
{
    test_all(plumb_parameters_hash(r->p, hash) == PLUMB_OK);
}

/* Of two good steps. */
static void expected_hash(char hash[33])
{
    panel_run r;
    open_run(&r);
    test_all(panel_run_step(&r, 0, NULL) == PLUMB_OK);
    test_all(panel_run_step(&r, 1, NULL) == PLUMB_OK);
    hash_of(&r, hash);
    panel_run_close(&r);
}

/* The same run had a failing step between: it must not be seen. */
static void expect_no_trace(panel_run *r, const char *hash)
{
    char found[33];
    test_all(panel_run_step(r, 1, NULL) == PLUMB_OK);
    hash_of(r, found);
    test_all(strcmp(found, hash) == 0);
    panel_run_close(r);
}

static bool reached(int left)
{
    int least = 0;
    MPI_Allreduce(&left, &least, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return least == 0;
}

/* Allocation number `number` of the last rank's update fails. True if there was one. */
static bool fail_allocation(int number, const char *hash)
{
    panel_run r;
    open_run(&r);
    test_all(panel_run_step(&r, 0, NULL) == PLUMB_OK);
    test_all(panel_run_give(&r, 5) == PLUMB_OK);
    test_all(plumb_reduce(r.p, NULL) == PLUMB_OK);
    until_failure = is_last() ? number : 0;
    plumb_status status = plumb_update(r.p, 0.02, NULL);
    bool failed = reached(until_failure);
    until_failure = 0;
    if (failed) {
        test_all(trial_refused(r.p, status, PLUMB_ERROR_MEMORY, "memory"));
        expect_no_trace(&r, hash);
    } else {
        test_all(status == PLUMB_OK);
        panel_run_close(&r);
    }
    return failed;
}

/* The plan is made anew until no allocation of the last rank fails. */
START_TEST(setting_up)
{
    char hash[33];
    panel_run r;
    expected_hash(hash);
    open_run(&r);
    plumb_status status = PLUMB_ERROR_MEMORY;
    int number = 0;
    while (status != PLUMB_OK) {
        until_failure = is_last() ? ++number : 0;
        status = plumb_begin_step(r.p, PANEL_TOTAL);
        int left = until_failure;
        until_failure = 0;
        test_all(trial_refused(r.p, status, reached(left) ? PLUMB_ERROR_MEMORY : PLUMB_OK, ""));
    }
    test_all(!is_last() || number > 30);
    test_all(plumb_end_step(r.p, 0.02, NULL) == PLUMB_ERROR_COVERAGE);
    test_all(panel_run_step(&r, 0, NULL) == PLUMB_OK);
    expect_no_trace(&r, hash);
}
END_TEST

START_TEST(out_of_memory)
{
    char hash[33];
    expected_hash(hash);
    int number = 1;
    while (fail_allocation(number, hash)) {
        number++;
    }
    test_all(number > 4);
}
END_TEST

/*
 * A NaN in product number `number`: in a Gram matrix, an inverse, or a panel of the result. False
 * if there were fewer. An inverse by elimination that fails is tried again by a factorisation: then
 * the step goes well.
 */
static bool fail_product(int number, const char *hash, int *failures)
{
    panel_run r;
    open_run(&r);
    test_all(panel_run_step(&r, 0, NULL) == PLUMB_OK);
    test_all(panel_run_give(&r, 5) == PLUMB_OK);
    test_all(plumb_reduce(r.p, NULL) == PLUMB_OK);
    until_nan = is_last() ? number : 0;
    plumb_status status = plumb_update(r.p, 0.02, NULL);
    bool there = reached(until_nan);
    until_nan = 0;
    if (status == PLUMB_OK) {
        panel_run_close(&r);
        return there;
    }
    *failures += 1;
    test_all(status == PLUMB_ERROR_NUMERICAL || status == PLUMB_ERROR_NONFINITE);
    test_all(trial_refused(r.p, status, status, "parameter \""));
    expect_no_trace(&r, hash);
    return there;
}

START_TEST(not_a_number)
{
    char hash[33];
    expected_hash(hash);
    int number = 1;
    int failures = 0;
    while (fail_product(number, hash, &failures)) {
        number = number * 3 / 2 + 1;
    }
    test_all(number > 10 && failures > 4);
}
END_TEST

/* The first gradients, so small that Gram matrices vanish where what a failed rank sends is taken
 * for an exponent. */
static void refuse_update(double rate, double last_rate, plumb_status expected, const char *part)
{
    static char hash[33];
    if (hash[0] == '\0') {
        expected_hash(hash);
    }
    panel_run r;
    open_run(&r);
    r.scale = 0x1p-90f;
    test_all(panel_run_give(&r, 5) == PLUMB_OK);
    r.scale = 1.0f;
    test_all(plumb_reduce(r.p, NULL) == PLUMB_OK);
    plumb_status status = plumb_update(r.p, is_last() ? last_rate : rate, NULL);
    test_all(trial_refused(r.p, status, expected, part));
    test_all(panel_run_step(&r, 0, NULL) == PLUMB_OK);
    expect_no_trace(&r, hash);
}

START_TEST(learning_rates)
{
    int size = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size > 1) {
        refuse_update(0.02, 0.03, PLUMB_ERROR_MISMATCH, "learning rate");
    }
    refuse_update(0.02, -1.0, PLUMB_ERROR_ARGUMENT, "learning rate is -1");
    refuse_update(0.02, (double)NAN, PLUMB_ERROR_ARGUMENT, "learning rate is");
    refuse_update(1e39, 1e39, PLUMB_ERROR_NONFINITE, "not finite");
}
END_TEST

START_TEST(report_of_wrong_size)
{
    char hash[33];
    expected_hash(hash);
    panel_run r;
    plumb_report report = {.size = sizeof report};
    open_run(&r);
    test_all(panel_run_step(&r, 0, NULL) == PLUMB_OK);
    test_all(panel_run_give(&r, 5) == PLUMB_OK);
    test_all(plumb_reduce(r.p, &report) == PLUMB_OK);
    report.size = is_last() ? 3 : sizeof report;
    plumb_status status = plumb_update(r.p, 0.02, &report);
    test_all(trial_refused(r.p, status, PLUMB_ERROR_ARGUMENT, "size"));
    expect_no_trace(&r, hash);
}
END_TEST

/* A gradient with a NaN never comes as far as panels; a momentum that overflows does. */
START_TEST(overflow)
{
    char hash[33];
    expected_hash(hash);
    panel_run r;
    open_run(&r);
    test_all(panel_run_step(&r, 0, NULL) == PLUMB_OK);
    for (int i = 0; i < 2; i++) {
        test_all(plumb_begin_step(r.p, PANEL_TOTAL) == PLUMB_OK);
        int64_t first;
        int64_t count;
        plumb_share(r.p, PANEL_TOTAL, &first, &count);
        for (int64_t k = first; k < first + count; k++) {
            for (int id = r.first; id < r.end; id++) {
                panel_run_gradient(9, k, id, r.gradient);
                r.gradient[panel_run_elements(id) - 1] = i == 0 && k == PANEL_TOTAL - 1 ? NAN : 0;
                plumb_accumulate(r.p, id - r.first, k, r.gradient);
            }
        }
        plumb_status status = plumb_end_step(r.p, i == 0 ? 0.02 : 3e38, NULL);
        test_all(trial_refused(r.p, status, PLUMB_ERROR_NONFINITE, "not finite"));
    }
    expect_no_trace(&r, hash);
}
END_TEST

/* Zero has the polar factor zero: the values only decay. Then one matrix of three is zero. */
START_TEST(zero)
{
    panel_run r;
    open_run(&r);
    for (int step = 0; step < 2; step++) {
        test_all(plumb_begin_step(r.p, PANEL_TOTAL) == PLUMB_OK);
        int64_t first;
        int64_t count;
        plumb_share(r.p, PANEL_TOTAL, &first, &count);
        float before = r.values[1][7];
        for (int64_t k = first; k < first + count; k++) {
            for (int id = r.first; id < r.end; id++) {
                panel_run_gradient(step, k, id, r.gradient);
                if (step == 0 || id == 1) {
                    memset(r.gradient, 0, (size_t)panel_run_elements(id) * sizeof(float));
                }
                plumb_accumulate(r.p, id - r.first, k, r.gradient);
            }
        }
        test_all(plumb_end_step(r.p, 0.02, NULL) == PLUMB_OK);
        test_all(r.values[1][7] == (float)(1.0 - 0.02 * r.muon.weight_decay) * before);
    }
    panel_run_close(&r);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("panel failures");
    test_add(suite, "setting up", setting_up);
    test_add(suite, "out of memory", out_of_memory);
    test_add(suite, "not a number", not_a_number);
    test_add(suite, "learning rates", learning_rates);
    test_add(suite, "report of wrong size", report_of_wrong_size);
    test_add(suite, "overflow", overflow);
    test_add(suite, "zero", zero);
    return test_run_mpi(suite, &argc, &argv);
}
