/*
 * The promise about bits under echo weights, over rank counts and owner maps, clipped and in
 * slices; that they change something; and what they ask of a step.
 * ranks: 4
 */
#include <string.h>

#include "support/invariance.h"
#include "support/test.h"

static miniature weighted(plumb_weights weights)
{
    miniature m;
    miniature_init(&m);
    m.optimizer = PLUMB_OPTIMIZER_MUON;
    m.weights = weights;
    m.polar = PLUMB_POLAR_SVD;
    m.steps = 3;
    m.options.groups = 4;
    m.options.bucket_elements = 4096;
    m.options.clip_norm = 2.0;
    return m;
}

START_TEST(same_bits)
{
    static const int rank_counts[] = {1, 2, 4};
    char hash[33], plain[33];
    miniature m = weighted(PLUMB_WEIGHTS_ECHO);
    invariance_reference(&m, hash);
    for (int i = 0; i < 3; i++) {
        m.options.owners = PLUMB_OWNERS_SHARDED;
        invariance_expect_same(&m, rank_counts[i], hash, "echo weights");
        m.options.owners = PLUMB_OWNERS_RANK0;
        invariance_expect_same(&m, rank_counts[i], hash, "echo weights");
    }
    m.weights = PLUMB_WEIGHTS_NONE;
    invariance_reference(&m, plain);
    test_all(strcmp(hash, plain) != 0);
}
END_TEST

static void expect_refused(const miniature *m, plumb_status status, const char *part)
{
    miniature_result result;
    miniature_run_on(4, m, &result);
    bool right = result.status == status && strstr(result.message, part) != NULL;
    ck_assert_msg(test_agree(right), "%s: %s", plumb_status_name(result.status), result.message);
}

START_TEST(refused)
{
    miniature m = weighted(PLUMB_WEIGHTS_ECHO);
    m.options.groups = 1;
    expect_refused(&m, PLUMB_ERROR_ARGUMENT, "at least 2");
    m = weighted(PLUMB_WEIGHTS_ECHO);
    m.unequal_samples = true;
    expect_refused(&m, PLUMB_ERROR_ARGUMENT, "equal samples");
    m = weighted(PLUMB_WEIGHTS_ECHO);
    m.options.exchange = PLUMB_EXCHANGE_ALLREDUCE;
    expect_refused(&m, PLUMB_ERROR_UNSUPPORTED, "allreduce");
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("invariance of echo weights");
    TCase *cases = tcase_create("echo weights");
    tcase_set_timeout(cases, 0);
    tcase_add_test(cases, same_bits);
    tcase_add_test(cases, refused);
    suite_add_tcase(suite, cases);
    return test_run_mpi(suite, &argc, &argv);
}
