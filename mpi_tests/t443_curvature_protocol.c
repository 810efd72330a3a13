/*
 * Curvature on its way through a step: what the owners get against a plain reference, exactly where
 * everything is a small integer, for groups more and fewer than ranks, single micro-batches,
 * unequal samples, extreme sizes, another K in every step, parameters in slices and in shared
 * buckets, beside optimizers that have none, with the same bits as on one rank alone.
 * ranks: 1 2 4
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/curvature_run.h"
#include "support/test.h"

/* ---- The plain reference: no memory, rho 1, rate 1, no decay, no clip ---- */

typedef float source(int step, int64_t k, int i, int e);

/* Means over micro-batches begin .. end - 1, weighted by samples. */
static double mean_of(const curvature_run *r, source *s, int step, int64_t begin, int64_t end,
                      int i, int e)
{
    double sum = 0.0, weight = 0.0;
    for (int64_t k = begin; k < end; k++) {
        sum += curvature_run_samples(r, step, k) * (double)s(step, k, i, e);
        weight += curvature_run_samples(r, step, k);
    }
    return sum / weight;
}

static float plain_update(const curvature_run *r, int step, int i, int e)
{
    int due = step / CURVATURE_INTERVAL * CURVATURE_INTERVAL;
    float m = (float)mean_of(r, curvature_run_gradient, step, 0, r->total, i, e);
    float h = (float)mean_of(r, curvature_run_curvature, due, 0, r->total, i, e);
    return m / (h > 1e-12f ? h : 1e-12f);
}

/* Variance of the mean over groups. */
static double variance_of(const curvature_run *r, int due, int i, int e)
{
    int64_t size = r->total / r->groups;
    double sum = 0.0, n = r->groups;
    double mean = mean_of(r, curvature_run_curvature, due, 0, r->total, i, e);
    for (int64_t k = 0; k < r->total; k += size) {
        double d = mean_of(r, curvature_run_curvature, due, k, k + size, i, e) - mean;
        sum += d * d;
    }
    return sum / (n * (n - 1.0));
}

static double safe(double h, double variance)
{
    double deviation = sqrt(variance);
    return h > deviation ? h / (h * h + variance) : 0.5 / deviation;
}

static double moment_update(const curvature_run *r, int step, int i, int e)
{
    int due = step / CURVATURE_INTERVAL * CURVATURE_INTERVAL;
    double h = mean_of(r, curvature_run_curvature, due, 0, r->total, i, e);
    return mean_of(r, curvature_run_gradient, step, 0, r->total, i, e) *
           safe(h, variance_of(r, due, i, e));
}

/* Two folds. */
static double crossed_update(const curvature_run *r, int step, int i, int e)
{
    int due = step / CURVATURE_INTERVAL * CURVATURE_INTERVAL;
    int64_t half = r->total / 2;
    double variance = 2.0 * variance_of(r, due, i, e);
    double left = mean_of(r, curvature_run_gradient, step, 0, half, i, e) *
                  safe(mean_of(r, curvature_run_curvature, due, half, r->total, i, e), variance);
    double right = mean_of(r, curvature_run_gradient, step, half, r->total, i, e) *
                   safe(mean_of(r, curvature_run_curvature, due, 0, half, i, e), variance);
    return 0.5 * (left + right);
}

/* `old` and `now`: a parameter's element before and after the step. */
static bool element_holds(const curvature_run *r, int step, int i, int e, float old, float now)
{
    plumb_correction correction =
        r->corrected ? curvature_shapes[i].correction : PLUMB_CORRECTION_NONE;
    if (correction == PLUMB_CORRECTION_NONE) {
        return now == old - plain_update(r, step, i, e);
    }
    double update = correction == PLUMB_CORRECTION_MOMENT ? moment_update(r, step, i, e)
                                                          : crossed_update(r, step, i, e);
    return fabs((double)now - ((double)old - update)) <= 1e-6 * (1.0 + fabs((double)old));
}

static bool step_holds(const curvature_run *r, int step, const float *old, const float *now)
{
    for (int i = 0; i < CURVATURE_PARAMETERS; i++) {
        for (int e = 0; e < curvature_run_elements(i) && curvature_run_uses(i); e++) {
            if (!element_holds(r, step, i, e, old[e], now[e])) {
                fprintf(stderr, "K %lld G %d step %d, element %d of %s: %.9g to %.9g\n",
                        (long long)r->total, r->groups, step, e, curvature_shapes[i].name,
                        (double)old[e], (double)now[e]);
                return false;
            }
        }
        old += curvature_run_elements(i);
        now += curvature_run_elements(i);
    }
    return true;
}

static bool run_holds(const curvature_run *r)
{
    static float here[(CURVATURE_STEPS + 1) * CURVATURE_ELEMENTS],
        alone[(CURVATURE_STEPS + 1) * CURVATURE_ELEMENTS];
    bool good = test_agree(curvature_run_go(r, MPI_COMM_WORLD, here) == PLUMB_OK);
    for (int step = 0; step < CURVATURE_STEPS && good; step++) {
        const float *old = here + (size_t)step * CURVATURE_ELEMENTS;
        good = step_holds(r, step, old, old + CURVATURE_ELEMENTS);
    }
    good = good && curvature_run_go(r, MPI_COMM_SELF, alone) == PLUMB_OK;
    if (good && r->exchange == PLUMB_EXCHANGE_TRANSPOSED) {
        good = memcmp(here, alone, sizeof here) == 0;
    }
    int64_t allocations = -1;
    plumb_memory_in_use(&allocations, NULL);
    return good && allocations == 0;
}

START_TEST(means)
{
    static const curvature_run runs[] = {
        {8, 8, true, false, 0, 0},  {8, 4, true, false, 0, 0},   {16, 2, true, false, 0, 0},
        {4, 4, true, false, 0, 0},  {6, 2, true, false, 0, 0},   {6, 6, true, false, 0, 0},
        {8, 8, false, true, 0, 0},  {5, 1, false, true, 0, 0},   {5, 5, false, true, 0, 0},
        {4, 1, false, false, 0, 0}, {13, 13, false, true, 0, 0},
    };
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        curvature_run r = runs[i];
        r.owners = PLUMB_OWNERS_SHARDED;
        test_all(run_holds(&r));
        r.owners = PLUMB_OWNERS_RANK0;
        test_all(run_holds(&r));
    }
}
END_TEST

/* Small integers have one sum, in whatever order MPI adds them. */
START_TEST(allreduce)
{
    const curvature_run r = {8, 4, false, true, PLUMB_OWNERS_SHARDED, PLUMB_EXCHANGE_ALLREDUCE};
    test_all(run_holds(&r));
}
END_TEST

/* ---- One element, without memory, whose gradient is 1: its value moves by -1/h ---- */

static plumb *open_element(float *value)
{
    plumb *p = NULL;
    plumb_parameter_options o;
    int id;
    *value = 0.0f;
    plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_SOPHIA);
    o.beta1 = o.beta2 = o.weight_decay = 0.0;
    o.rho = 1.0;
    o.epsilon = 1e-30;
    o.clip = 1e30;
    o.curvature_interval = 1;
    test_all(plumb_create(MPI_COMM_WORLD, NULL, &p) == PLUMB_OK);
    test_all(plumb_add_parameter(p, "one", 1, 1, value, &o, &id) == PLUMB_OK);
    return p;
}

/* Curvature of micro-batch k is draws (estimate (k + 1))^2. */
static plumb_status element_step(plumb *p, int64_t total, double draws, float estimate)
{
    const float one = 1.0f;
    int64_t first = 0, count = 0;
    plumb_status status = plumb_begin_step(p, total);
    (void)plumb_share(p, total, &first, &count);
    for (int64_t k = first; k < first + count && status == PLUMB_OK; k++) {
        float mine = estimate * (float)(k + 1);
        status = plumb_accumulate(p, 0, k, &one);
        if (status == PLUMB_OK) {
            status = plumb_accumulate_curvature(p, 0, k, PLUMB_CURVATURE_GAUSS_NEWTON_BARTLETT,
                                                draws, &mine);
        }
    }
    return status == PLUMB_OK ? plumb_end_step(p, 1.0, NULL) : status;
}

/* Mean of the squares of 1 .. total. */
static double mean_square(int64_t total)
{
    return (double)((total + 1) * (2 * total + 1)) / 6.0;
}

static void expect_element(int64_t total, double draws, float estimate)
{
    float value;
    plumb *p = open_element(&value);
    test_all(element_step(p, total, draws, estimate) == PLUMB_OK);
    double h = draws * (double)estimate * (double)estimate * mean_square(total);
    test_all(fabs((double)value * h + 1.0) < 3e-7);
    test_all(plumb_destroy(&p) == PLUMB_OK);
}

/* Squares below the range of floats that many draws bring back; all of a number of draws. */
START_TEST(extreme_squares)
{
    expect_element(4, 1.0, 1.0f);
    expect_element(4, 0x1p52, 0x1p-75f);
    expect_element(4, 0x1p50, 0x1p-70f);
    expect_element(4, 16777219.0, 1.0f);
    expect_element(4, 1.0, 0x1p60f);
}
END_TEST

/* What both exchanges sent is counted. */
START_TEST(traffic)
{
    static float values[CURVATURE_ELEMENTS];
    const curvature_run r = {8, 1, false, false, PLUMB_OWNERS_SHARDED, 0};
    plumb *p = NULL;
    plumb_report reports[2] = {{.size = sizeof *reports}, {.size = sizeof *reports}};
    test_all(curvature_run_open(&r, MPI_COMM_WORLD, values, &p) == PLUMB_OK);
    for (int step = 0; step < 2; step++) {
        test_all(plumb_begin_step(p, r.total) == PLUMB_OK);
        test_all(curvature_run_give(&r, p, step) == PLUMB_OK);
        test_all(plumb_end_step(p, 1.0, &reports[step]) == PLUMB_OK);
    }
    int64_t sent = 0;
    for (int i = 0; i < CURVATURE_PARAMETERS; i++) {
        sent += curvature_run_uses(i) ? curvature_run_elements(i) : 0;
    }
    int ranks;
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int64_t others = ranks - 1;
    int64_t more = reports[0].exchange_bytes - reports[1].exchange_bytes;
    int64_t padding = 16 * CURVATURE_PARAMETERS;
    test_all(more >= 4 * sent * others && more <= 4 * (sent + padding) * others);
    test_all(reports[0].first_leg_ratio == 1.0 && reports[1].first_leg_ratio == 1.0);
    test_all(others == 0 || reports[0].exchange_messages > reports[1].exchange_messages);
    test_all(plumb_destroy(&p) == PLUMB_OK);
}
END_TEST

START_TEST(changing_numbers)
{
    static const int64_t totals[] = {4, 7, 5, 16, 4};
    float value;
    double moved = 0.0;
    plumb *p = open_element(&value);
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        test_all(element_step(p, totals[i], 2.0, 1.0f) == PLUMB_OK);
        moved -= 0.5 / mean_square(totals[i]);
        test_all(fabs((double)value - moved) < 1e-7);
    }
    test_all(plumb_destroy(&p) == PLUMB_OK);
}
END_TEST

/* What plumb_update will find is not known yet; what has no Sophia is within its clip. */
START_TEST(report_between)
{
    const float one = 1.0f;
    float value;
    int64_t first = 0, count = 0;
    plumb_report report = {.size = sizeof report};
    plumb *p = open_element(&value);
    test_all(plumb_begin_step(p, 4) == PLUMB_OK);
    test_all(plumb_share(p, 4, &first, &count) == PLUMB_OK);
    for (int64_t k = first; k < first + count; k++) {
        (void)plumb_accumulate(p, 0, k, &one);
        (void)plumb_accumulate_curvature(p, 0, k, PLUMB_CURVATURE_DIAGONAL, 0.0, &one);
    }
    test_all(plumb_reduce(p, &report) == PLUMB_OK);
    test_all(report.unclipped == 1.0 && report.correction_clipped == 0.0);
    test_all(plumb_update(p, 1.0, &report) == PLUMB_OK && report.unclipped == 1.0);
    test_all(value == -1.0f);
    test_all(plumb_destroy(&p) == PLUMB_OK);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("curvature protocol");
    test_add(suite, "means", means);
    test_add(suite, "allreduce", allreduce);
    test_add(suite, "extreme squares", extreme_squares);
    test_add(suite, "traffic", traffic);
    test_add(suite, "changing numbers", changing_numbers);
    test_add(suite, "report between", report_between);
    return test_run_mpi(suite, &argc, &argv);
}
