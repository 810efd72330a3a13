/*
 * The promise about bits, for every optimizer with every correction that it knows: large and small
 * parameters by groups, slices, buckets of several, holders of straddled groups, clipping, roots
 * and curvature every second step.
 *
 * ranks: 8
 * seconds: 900
 */
#include "optim/optimizer.h"
#include "support/invariance.h"
#include "support/test.h"

static bool wants_whole_floor(plumb_correction correction)
{
    return correction == PLUMB_CORRECTION_JACKKNIFE || correction == PLUMB_CORRECTION_HALF_SAMPLE;
}

/* With every third correction K is 12, which G = 4 divides otherwise than 8. */
static void expect(plumb_optimizer optimizer, plumb_correction correction, int folds)
{
    miniature m;
    miniature_init(&m);
    m.optimizer = optimizer;
    m.correction = correction;
    m.folds = folds;
    m.noise_floor = wants_whole_floor(correction) ? 1.0 : 0.0;
    m.polar =
        correction == PLUMB_CORRECTION_SECOND_ORDER ? PLUMB_POLAR_SVD : PLUMB_POLAR_NEWTON_SCHULZ;
    m.steps = TEST_SANITIZED ? 2 : 3;
    m.micro_batches = (int)correction % 3 == 0 ? 12 : 8;
    m.options.groups = 4;
    m.options.bucket_elements = 4096;
    m.options.clip_norm = 2.0;
    invariance_expect(&m, "corrections");
}

START_TEST(every_correction)
{
    plumb_optimizer optimizer = (plumb_optimizer)_i;
    const optimizer_kind *kind = optimizer_find(optimizer);
    expect(optimizer, PLUMB_CORRECTION_NONE, 0);
    int known = 0;
    for (int c = 1; c <= (int)PLUMB_CORRECTION_PAPER_DIAGONAL; c++) {
        if ((kind->corrections >> c & 1U) != 0) {
            expect(optimizer, (plumb_correction)c, 0);
            known++;
        }
    }
    ck_assert(known > 0 || optimizer == PLUMB_OPTIMIZER_SGD);
}
END_TEST

START_TEST(two_folds)
{
    expect(PLUMB_OPTIMIZER_ADAMW, PLUMB_CORRECTION_LOO, 2);
    expect(PLUMB_OPTIMIZER_ADAMW, PLUMB_CORRECTION_JACKKNIFE, 2);
    expect(PLUMB_OPTIMIZER_SOPHIA, PLUMB_CORRECTION_LOO, 2);
    expect(PLUMB_OPTIMIZER_SHAMPOO, PLUMB_CORRECTION_JACKKNIFE, 2);
    expect(PLUMB_OPTIMIZER_SOAP, PLUMB_CORRECTION_LOO, 2);
    expect(PLUMB_OPTIMIZER_MUON, PLUMB_CORRECTION_JACKKNIFE, 2);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("invariance of corrections");
    TCase *cases = tcase_create("corrections");
    tcase_set_timeout(cases, 0);
    tcase_add_loop_test(cases, every_correction, PLUMB_OPTIMIZER_ADAMW, PLUMB_OPTIMIZER_SOAP + 1);
    tcase_add_test(cases, two_folds);
    suite_add_tcase(suite, cases);
    return test_run_mpi(suite, &argc, &argv);
}
