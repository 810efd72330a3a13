/*
 * Options: defaults, the bounds of every numeric field and what lies just outside them, and
 * combinations without meaning.
 * ranks: serial
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "optim/bounds.h"
#include "optim/optimizer.h"
#include "support/test.h"

typedef enum field_type { FIELD_INT, FIELD_INT64, FIELD_DOUBLE } field_type;

typedef struct field {
    const char *name;
    size_t offset;
    field_type type;
    bool of_handle; /* of plumb_options, else of plumb_parameter_options */
} field;

#define HANDLE(name, type)                                                                         \
    {                                                                                              \
#name, offsetof(plumb_options, name), type, true                                           \
    }
#define PARAMETER(name, type)                                                                      \
    {                                                                                              \
#name, offsetof(plumb_parameter_options, name), type, false                                \
    }

static const field fields[] = {
    HANDLE(groups, FIELD_INT),
    HANDLE(owners, FIELD_INT),
    HANDLE(exchange, FIELD_INT),
    HANDLE(clip_norm, FIELD_DOUBLE),
    HANDLE(nominal_samples, FIELD_DOUBLE),
    HANDLE(bucket_elements, FIELD_INT64),
    HANDLE(chunk_elements, FIELD_INT64),
    HANDLE(average_weights, FIELD_INT),
    HANDLE(average_beta, FIELD_DOUBLE),
    HANDLE(average_from, FIELD_INT64),
    HANDLE(replica_check, FIELD_INT),
    HANDLE(shared_memory, FIELD_INT),
    HANDLE(spread_panels, FIELD_INT),
    HANDLE(diagnostics, FIELD_INT),
    HANDLE(diagnostics_every, FIELD_INT),
    HANDLE(population, FIELD_DOUBLE),
    HANDLE(log_level, FIELD_INT),
    PARAMETER(optimizer, FIELD_INT),
    PARAMETER(pipeline, FIELD_INT),
    PARAMETER(polar, FIELD_INT),
    PARAMETER(polar_steps, FIELD_INT),
    PARAMETER(polar_delta, FIELD_DOUBLE),
    PARAMETER(learning_rate_factor, FIELD_DOUBLE),
    PARAMETER(beta1, FIELD_DOUBLE),
    PARAMETER(beta2, FIELD_DOUBLE),
    PARAMETER(epsilon, FIELD_DOUBLE),
    PARAMETER(weight_decay, FIELD_DOUBLE),
    PARAMETER(nesterov, FIELD_INT),
    PARAMETER(correction, FIELD_INT),
    PARAMETER(noise_floor, FIELD_DOUBLE),
    PARAMETER(folds, FIELD_INT),
    PARAMETER(paper_mixing, FIELD_DOUBLE),
    PARAMETER(paper_support_clip, FIELD_DOUBLE),
    PARAMETER(rho, FIELD_DOUBLE),
    PARAMETER(clip, FIELD_DOUBLE),
    PARAMETER(curvature_interval, FIELD_INT),
    PARAMETER(exponent, FIELD_DOUBLE),
    PARAMETER(damping, FIELD_DOUBLE),
    PARAMETER(relative_damping, FIELD_DOUBLE),
    PARAMETER(root_interval, FIELD_INT),
    PARAMETER(root_failures, FIELD_INT),
    PARAMETER(root_method, FIELD_INT),
    PARAMETER(block_size, FIELD_INT64),
    PARAMETER(grafting, FIELD_INT),
    PARAMETER(bias_correction, FIELD_INT),
    PARAMETER(cost_seconds, FIELD_DOUBLE),
    PARAMETER(weights, FIELD_INT),
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

static void set(const field *f, void *options, double value)
{
    char *place = (char *)options + f->offset;
    int as_int = f->type == FIELD_INT ? (int)value : 0;
    int64_t as_int64 = f->type == FIELD_INT64 ? (int64_t)value : 0;
    if (f->type == FIELD_INT) {
        memcpy(place, &as_int, sizeof as_int);
    } else if (f->type == FIELD_INT64) {
        memcpy(place, &as_int64, sizeof as_int64);
    } else {
        memcpy(place, &value, sizeof value);
    }
}

/* The status of otherwise default options with this value. */
static plumb_status status_of(const field *f, double value)
{
    if (f->of_handle) {
        plumb_options options;
        ck_assert_int_eq(plumb_options_init(&options, sizeof options), PLUMB_OK);
        set(f, &options, value);
        return bounds_check_options(&options);
    }
    plumb_parameter_options options;
    ck_assert_int_eq(plumb_parameter_options_init(&options, sizeof options, PLUMB_OPTIMIZER_SGD),
                     PLUMB_OK);
    set(f, &options, value);
    return bounds_check_parameter_options(&options);
}

static double next(const field *f, double value, double toward)
{
    return f->type == FIELD_DOUBLE ? nextafter(value, toward)
                                   : value + (toward > value ? 1.0 : -1.0);
}

/* Whether the value fits into the field's C type at all. */
static bool representable(const field *f, double value)
{
    return f->type != FIELD_INT || fabs(value) < 2147483648.0;
}

static void assert_refused(const field *f, double value)
{
    ck_assert_msg(status_of(f, value) == PLUMB_ERROR_ARGUMENT, "%s = %.17g", f->name, value);
    ck_assert_msg(strstr(error_text(), f->name) != NULL, "%s: %s", f->name, error_text());
}

static void assert_accepted(const field *f, double value)
{
    ck_assert_msg(status_of(f, value) == PLUMB_OK, "%s = %.17g: %s", f->name, value, error_text());
}

START_TEST(every_bound)
{
    const field *f = &fields[_i];
    plumb_bounds b;
    ck_assert_int_eq(plumb_option_bounds(f->name, &b), PLUMB_OK);
    ck_assert_double_lt(b.lowest, b.highest);
    double lowest = b.lowest_excluded ? next(f, b.lowest, INFINITY) : b.lowest;
    double highest = b.highest_excluded ? next(f, b.highest, -INFINITY) : b.highest;
    assert_accepted(f, lowest);
    assert_accepted(f, highest);
    assert_refused(f, next(f, lowest, -INFINITY));
    if (representable(f, next(f, highest, INFINITY))) {
        assert_refused(f, next(f, highest, INFINITY));
    }
    if (f->type == FIELD_DOUBLE) {
        assert_refused(f, (double)NAN);
        assert_refused(f, (double)INFINITY);
        assert_refused(f, -(double)INFINITY);
    }
}
END_TEST

START_TEST(unknown_names)
{
    plumb_bounds b = {1, 2, 3, 4};
    ck_assert_int_eq(plumb_option_bounds("beta3", &b), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_option_bounds("", &b), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_option_bounds("size", &b), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_option_bounds(NULL, &b), PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_option_bounds("beta1", NULL), PLUMB_ERROR_ARGUMENT);
    ck_assert(b.lowest == 1.0 && b.highest == 2.0);
}
END_TEST

START_TEST(defaults)
{
    plumb_parameter_options o;
    size_t size = sizeof o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, size, PLUMB_OPTIMIZER_SGD), PLUMB_OK);
    ck_assert(o.beta1 == 0.9 && o.weight_decay == 0.0 && o.nesterov == 0);
    ck_assert_int_eq(plumb_parameter_options_init(&o, size, PLUMB_OPTIMIZER_ADAMW), PLUMB_OK);
    ck_assert(o.beta1 == 0.9 && o.beta2 == 0.95 && o.epsilon == 1e-8 && o.weight_decay == 0.1);
    ck_assert_int_eq(plumb_parameter_options_init(&o, size, PLUMB_OPTIMIZER_MUON), PLUMB_OK);
    ck_assert(o.beta1 == 0.95 && o.weight_decay == 0.1 && o.nesterov == 1);
    ck_assert(o.pipeline == PLUMB_PIPELINE_AVERAGE_THEN_ORTHOGONALISE);
    ck_assert(o.polar == PLUMB_POLAR_NEWTON_SCHULZ && o.polar_steps == 0);
    ck_assert(o.learning_rate_factor == 1.0);
    ck_assert(o.correction == PLUMB_CORRECTION_NONE && o.noise_floor == 0.0);
    ck_assert(o.size == size && o.optimizer == PLUMB_OPTIMIZER_MUON);
}
END_TEST

START_TEST(wrong_init)
{
    plumb_parameter_options o, before;
    memset(&o, 7, sizeof o);
    before = o;
    size_t size = sizeof o;
    ck_assert_int_eq(plumb_parameter_options_init(NULL, size, PLUMB_OPTIMIZER_SGD),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_parameter_options_init(&o, size - 1, PLUMB_OPTIMIZER_SGD),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(
        plumb_parameter_options_init(&o, size, (plumb_optimizer)(PLUMB_OPTIMIZER_NONE + 1)),
        PLUMB_ERROR_ARGUMENT);
    ck_assert_int_eq(plumb_parameter_options_init(&o, size, (plumb_optimizer)-1),
                     PLUMB_ERROR_ARGUMENT);
    ck_assert_mem_eq(&o, &before, sizeof o);
}
END_TEST

START_TEST(wrong_size_version_and_combination)
{
    plumb_parameter_options good, o;
    ck_assert_int_eq(plumb_parameter_options_init(&good, sizeof good, PLUMB_OPTIMIZER_ADAMW),
                     PLUMB_OK);
    ck_assert_int_eq(optimizer_validate(&good, 4, 3), PLUMB_OK);
    o = good;
    o.size = 0;
    ck_assert_int_eq(optimizer_validate(&o, 4, 3), PLUMB_ERROR_ARGUMENT);
    o = good;
    o.version += 1;
    ck_assert_int_eq(optimizer_validate(&o, 4, 3), PLUMB_ERROR_ARGUMENT);
    o = good;
    o.nesterov = 1;
    ck_assert_int_eq(optimizer_validate(&o, 4, 3), PLUMB_ERROR_UNSUPPORTED);
    plumb_options handle;
    ck_assert_int_eq(plumb_options_init(&handle, sizeof handle), PLUMB_OK);
    handle.version += 1;
    ck_assert_int_eq(bounds_check_options(&handle), PLUMB_ERROR_ARGUMENT);
}
END_TEST

START_TEST(registry_is_complete)
{
    static const struct {
        const char *name, *first_state;
        int states;
        bool element_wise, matrix_states, curvature;
    } known[] = {
        {"sgd", "momentum", 1, true, false, false},
        {"adamw", "first_moment", 2, true, false, false},
        {"muon", "momentum", 1, false, false, false},
        {"sophia", "first_moment", 2, true, false, true},
        {"shampoo", "first_moment", 2, false, true, false},
        {"soap", "first_moment", 2, false, true, false},
    };
    for (int i = 0; i <= PLUMB_OPTIMIZER_SOAP; i++) {
        const optimizer_kind *kind = optimizer_find((plumb_optimizer)i);
        ck_assert_ptr_nonnull(kind);
        ck_assert_str_eq(kind->name, known[i].name);
        ck_assert_int_eq(kind->element_wise, known[i].element_wise);
        ck_assert(!kind->keeps_gradient);
        ck_assert_int_eq(kind->matrix_state_count != NULL, known[i].matrix_states);
        plumb_parameter_options o;
        plumb_parameter_options_init(&o, sizeof o, (plumb_optimizer)i);
        ck_assert_int_eq(kind->state_count(&o, 8), known[i].states);
        ck_assert(!optimizer_wants_groups(&o) && !optimizer_wants_curvature_groups(&o));
        ck_assert_int_eq(optimizer_curvature_interval(&o) > 0, known[i].curvature);
        int group = 7;
        ck_assert_str_eq(kind->state_name(&o, 8, 0, &group), known[i].first_state);
        ck_assert_int_eq(group, -1);
        ck_assert_double_gt(kind->cost(&o, 4, 64, 32, 64 * 32), 0.0);
        ck_assert_double_lt(kind->cost(&o, 4, 64, 32, 64 * 32), 1.0);
    }
    const optimizer_kind *none = optimizer_find(PLUMB_OPTIMIZER_NONE);
    plumb_parameter_options o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_NONE), PLUMB_OK);
    ck_assert_str_eq(none->name, "none");
    ck_assert(none->element_wise && none->keeps_gradient && none->state_count(&o, 8) == 0);
    ck_assert_ptr_null(optimizer_find((plumb_optimizer)(PLUMB_OPTIMIZER_NONE + 1)));
    ck_assert_ptr_null(optimizer_find((plumb_optimizer)-1));
}
END_TEST

/* What the chosen polar method takes is known before the first step. */
START_TEST(poles_and_delta_of_the_fast_polar_factor)
{
    plumb_parameter_options o;
    ck_assert_int_eq(plumb_parameter_options_init(&o, sizeof o, PLUMB_OPTIMIZER_MUON), PLUMB_OK);
    o.polar = PLUMB_POLAR_FAST;
    o.polar_steps = 16;
    o.polar_delta = 1e-4;
    ck_assert_int_eq(optimizer_validate(&o, 4, 3), PLUMB_OK);
    o.polar_steps = 17;
    ck_assert_int_eq(optimizer_validate(&o, 4, 3), PLUMB_ERROR_ARGUMENT);
    o.polar_steps = 0;
    o.polar_delta = 0.99e-4;
    ck_assert_int_eq(optimizer_validate(&o, 4, 3), PLUMB_ERROR_ARGUMENT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *bounds = tcase_create("every bound");
    tcase_add_loop_test(bounds, every_bound, 0, FIELDS);
    suite_add_tcase(suite, bounds);
    test_add(suite, "unknown names", unknown_names);
    test_add(suite, "defaults", defaults);
    test_add(suite, "wrong init", wrong_init);
    test_add(suite, "wrong size, version, combination", wrong_size_version_and_combination);
    test_add(suite, "poles and delta of the fast polar factor",
             poles_and_delta_of_the_fast_polar_factor);
    test_add(suite, "registry is complete", registry_is_complete);
    return test_run(suite);
}
