/*
 * What train hands to Sophia: with no averaging and no clip the update is g / h, so that the new
 * values tell h. A workload of known numbers stands for a model.
 * ranks: 1 2 3
 */
#include <math.h>
#include <stdlib.h>

#include "app/train_curvature.h"
#include "support/test.h"

enum { ROWS = 2, COLS = 3, COUNT = ROWS * COLS, MICRO_BATCHES = 6, DRAWS = 5 };

/* Of the whole batch: the mean over micro-batches is what counts. */
static float estimate_of(int parameter, int64_t micro_batch, int64_t probe, int i)
{
    return 1.0f + (float)(parameter + 1) * (float)(micro_batch + 2 * probe + i) / 8.0f;
}

static int give(workload *w, int64_t micro_batch, int64_t probe, const workload_sink *sink)
{
    for (int p = 0; p < w->parameter_count; p++) {
        float *estimate = NULL;
        if (sink->destination(sink->context, p, &estimate) != 0) {
            return 1;
        }
        for (int i = 0; i < COUNT; i++) {
            estimate[i] = estimate_of(p, micro_batch, probe, i);
        }
        if (sink->complete(sink->context, p) != 0) {
            return 1;
        }
    }
    return 0;
}

static int fake_curvature(workload *w, int64_t step, int64_t micro_batch, const workload_sink *sink,
                          workload_result *result)
{
    (void)step;
    *result = (workload_result){1, DRAWS, w->options.noise, NULL};
    return give(w, micro_batch, 0, sink);
}

static int fake_hutchinson(workload *w, int64_t step, int64_t micro_batch, int64_t probe,
                           const workload_sink *sink)
{
    (void)step;
    return give(w, micro_batch, probe, sink);
}

/* A training with two parameters at 0, whose gradient is 1 everywhere. */
typedef struct scene {
    workload_kind kind;
    workload_parameter parameters[2];
    workload workload;
    float values[2][COUNT];
    int ids[2];
    train_options options;
    training training;
} scene;

static void set_up(scene *s, int curvature, int64_t probes, int interval)
{
    *s = (scene){.kind = {.curvature = fake_curvature, .hutchinson = fake_hutchinson}};
    plumb_parameter_options sophia;
    plumb_parameter_options_init(&sophia, sizeof sophia, PLUMB_OPTIMIZER_SOPHIA);
    sophia.beta1 = sophia.beta2 = sophia.weight_decay = 0.0;
    sophia.rho = 1.0;
    sophia.clip = 1e9;
    sophia.curvature_interval = interval;
    training *t = &s->training;
    ck_assert_int_eq(plumb_create(MPI_COMM_WORLD, NULL, &t->plumb), PLUMB_OK);
    for (int p = 0; p < 2; p++) {
        const char *name = p == 0 ? "first" : "second";
        s->parameters[p] = (workload_parameter){.rows = ROWS, .cols = COLS};
        s->parameters[p].values = s->values[p];
        ck_assert_int_eq(
            plumb_add_parameter(t->plumb, name, ROWS, COLS, s->values[p], &sophia, &s->ids[p]),
            PLUMB_OK);
    }
    s->workload = (workload){.kind = &s->kind, .parameter_count = 2, .parameters = s->parameters};
    s->options.update.optimizer = PLUMB_OPTIMIZER_SOPHIA;
    s->options.curvature = curvature;
    s->options.probes = probes;
    s->options.micro_batches = MICRO_BATCHES;
    t->options = &s->options;
    t->micro_batches = MICRO_BATCHES;
    t->workload = &s->workload;
    t->ids = s->ids;
    train_curvature_allocate(t);
    ck_assert_int_eq(t->failure.code, EXIT_OK);
}

static void tear_down(scene *s)
{
    train_curvature_free(&s->training);
    ck_assert_int_eq(plumb_destroy(&s->training.plumb), PLUMB_OK);
}

static plumb_status step(scene *s, int64_t number)
{
    static const float ones[COUNT] = {1, 1, 1, 1, 1, 1};
    training *t = &s->training;
    int64_t first, count;
    ck_assert_int_eq(plumb_begin_step(t->plumb, MICRO_BATCHES), PLUMB_OK);
    ck_assert_int_eq(plumb_share(t->plumb, MICRO_BATCHES, &first, &count), PLUMB_OK);
    for (int64_t m = first; m < first + count; m++) {
        for (int p = 0; p < 2; p++) {
            ck_assert_int_eq(plumb_accumulate(t->plumb, s->ids[p], m, ones), PLUMB_OK);
        }
    }
    train_curvature_estimates(t, number);
    return plumb_end_step(t->plumb, 1.0, NULL);
}

/* The mean over micro-batches of draws g^2, or of the mean over probes. */
static double expected(int parameter, int64_t probes, int i)
{
    double sum = 0.0;
    for (int64_t m = 0; m < MICRO_BATCHES; m++) {
        double mean = 0.0;
        for (int64_t probe = 0; probe < probes; probe++) {
            mean += (double)estimate_of(parameter, m, probe, i) / (double)probes;
        }
        double drawn = (double)estimate_of(parameter, m, 0, i);
        sum += probes == 0 ? DRAWS * drawn * drawn : mean;
    }
    return sum / MICRO_BATCHES;
}

/* `probes` 0: Gauss-Newton. */
static bool curvature_is_right(const scene *s, int64_t probes)
{
    for (int p = 0; p < 2; p++) {
        for (int i = 0; i < COUNT; i++) {
            double h = expected(p, probes, i);
            if (!(fabs((double)s->values[p][i] * h + 1.0) < 1e-5)) {
                return false;
            }
        }
    }
    return true;
}

START_TEST(drawn_labels_are_counted)
{
    scene s;
    set_up(&s, CURVATURE_GAUSS_NEWTON, 1, 1);
    ck_assert_int_eq(step(&s, 0), PLUMB_OK);
    test_all(curvature_is_right(&s, 0));
    tear_down(&s);
}
END_TEST

START_TEST(probes_are_averaged_in_every_step)
{
    for (int64_t probes = 1; probes <= 4; probes += 3) {
        scene s;
        set_up(&s, CURVATURE_HUTCHINSON, probes, 1);
        for (int number = 0; number < 2; number++) {
            for (int i = 0; i < 2 * COUNT; i++) {
                s.values[i / COUNT][i % COUNT] = 0.0f;
            }
            ck_assert_int_eq(step(&s, number), PLUMB_OK);
            test_all(curvature_is_right(&s, probes));
        }
        tear_down(&s);
    }
}
END_TEST

/* Between the steps that need it nothing is computed, and a call would be an error. */
START_TEST(interval_is_the_librarys)
{
    scene s;
    set_up(&s, CURVATURE_GAUSS_NEWTON, 1, 2);
    for (int number = 0; number < 3; number++) {
        ck_assert_int_eq(step(&s, number), PLUMB_OK);
        test_all(s.training.failure.code == EXIT_OK);
    }
    tear_down(&s);
}
END_TEST

/* A loss that is not finite stops the share: the step fails on all ranks, and changes nothing. */
START_TEST(loss_that_is_not_finite)
{
    scene s;
    set_up(&s, CURVATURE_GAUSS_NEWTON, 1, 1);
    s.workload.options.noise = NAN; /* what fake_curvature reports as its loss */
    test_all(step(&s, 0) == PLUMB_ERROR_COVERAGE);
    test_all(s.training.failure.code == EXIT_NONFINITE);
    test_all(s.values[0][0] == 0.0f);
    tear_down(&s);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("t613_train_curvature");
    test_add(suite, "draws", drawn_labels_are_counted);
    test_add(suite, "probes", probes_are_averaged_in_every_step);
    test_add(suite, "interval", interval_is_the_librarys);
    test_add(suite, "loss", loss_that_is_not_finite);
    return test_run_mpi(suite, &argc, &argv);
}
