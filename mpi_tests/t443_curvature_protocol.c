/*
 * Curvature on its way through a step: what the owners get against a plain reference, exactly where
 * everything is a small integer, for groups more and fewer than ranks, single micro-batches,
 * unequal samples, parameters in slices and in shared buckets, beside optimizers that have none,
 * with the same bits as on one rank alone.
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

int main(int argc, char **argv)
{
    Suite *suite = suite_create("curvature protocol");
    test_add(suite, "means", means);
    test_add(suite, "allreduce", allreduce);
    return test_run_mpi(suite, &argc, &argv);
}
