/*
 * SOAP (Vyas et al. 2024, arXiv 2409.11321): AdamW in the eigenbasis of Shampoo's factors,
 *
 *     L = beta2 L + (1 - beta2) g g',  R = beta2 R + (1 - beta2) g' g,  L = Q_L D Q_L', ...
 *     x = (1 - rate decay) x - rate Q_L u Q_R',   u = AdamW's direction for Q_L' g Q_R,
 *
 * with new bases every root_interval updates. AdamW is asked through its own interface, with any
 * of its corrections, for the rotated gradients of the groups. When the bases change, first moments
 * turn with them, and what belongs to second moments stays with its pair of directions, as in the
 * source. As there, a basis serves from the step after its last gradient; but the source skips the
 * first update for want of a basis, and here the first is AdamW's own. A parameter of one row or
 * column is AdamW's.
 */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "correct/correction.h"
#include "optim/soap_basis.h"

/* Everything that AdamW sees rotated: arrays of input->count floats. */
typedef struct soap_work {
    int states, groups;
    float **states_at;  /* [states]: the first moments, rotated; NULL for what is not */
    const float **seen; /* [states]: what AdamW gets as old states */
    float **groups_at;  /* [groups] */
    float *gradient, *direction, *zeros;
} soap_work;

static plumb_parameter_options adamw_options(const plumb_parameter_options *options)
{
    plumb_parameter_options inner = *options;
    inner.optimizer = PLUMB_OPTIMIZER_ADAMW;
    return inner;
}

static int soap_state_count(const plumb_parameter_options *options, int groups)
{
    return optimizer_adamw.state_count(options, groups);
}

static const char *soap_state_name(const plumb_parameter_options *options, int groups, int state,
                                   int *group)
{
    return optimizer_adamw.state_name(options, groups, state, group);
}

static bool turns(const optimizer_input *input, int state)
{
    int group;
    const char *name = soap_state_name(input->options, input->group_count, state, &group);
    return strcmp(name, "first_moment") == 0;
}

static plumb_status allocate(const optimizer_input *input, soap_work *w)
{
    int64_t count = input->count;
    w->states = soap_state_count(input->options, input->group_count);
    w->groups = input->group_count;
    PROPAGATE(memory_zeroed(w->states, sizeof *w->states_at, &w->states_at));
    PROPAGATE(memory_zeroed(w->states, sizeof *w->seen, &w->seen));
    PROPAGATE(memory_zeroed(w->groups, sizeof *w->groups_at, &w->groups_at));
    for (int i = 0; i < w->states; i++) {
        if (turns(input, i)) {
            PROPAGATE(memory_allocate(count, sizeof(float), &w->states_at[i]));
        }
        w->seen[i] = w->states_at[i] != NULL ? w->states_at[i] : input->states[i];
    }
    for (int k = 0; k < w->groups; k++) {
        PROPAGATE(memory_allocate(count, sizeof(float), &w->groups_at[k]));
    }
    PROPAGATE(memory_allocate(count, sizeof(float), &w->gradient));
    PROPAGATE(memory_allocate(count, sizeof(float), &w->direction));
    return memory_zeroed(count, sizeof(float), &w->zeros);
}

static void free_work(soap_work *w)
{
    for (int i = 0; w->states_at != NULL && i < w->states; i++) {
        memory_free(&w->states_at[i]);
    }
    for (int k = 0; w->groups_at != NULL && k < w->groups; k++) {
        memory_free(&w->groups_at[k]);
    }
    memory_free(&w->states_at);
    memory_free(&w->seen);
    memory_free(&w->groups_at);
    memory_free(&w->gradient);
    memory_free(&w->direction);
    memory_free(&w->zeros);
}

static plumb_status enter(soap_bases *s, const soap_work *w)
{
    const optimizer_input *input = s->input;
    for (int64_t i = 0; i < blocks_count(&s->grid); i++) {
        block b = blocks_at(&s->grid, i);
        PROPAGATE(soap_bases_renew(s, &b));
        soap_bases_enter(s, &b, input->gradient, w->gradient);
        for (int k = 0; k < w->groups; k++) {
            soap_bases_enter(s, &b, input->groups[k], w->groups_at[k]);
        }
        for (int j = 0; j < w->states; j++) {
            if (w->states_at[j] != NULL) {
                soap_bases_move(s, &b, input->states[j], w->states_at[j]);
            }
        }
    }
    return PLUMB_OK;
}

/* AdamW's step of size 1 from 0 without decay is its direction with the other sign. */
static plumb_status ask_adamw(const optimizer_input *input, const soap_work *w)
{
    plumb_parameter_options options = adamw_options(input->options);
    options.weight_decay = 0.0;
    optimizer_input inner = *input;
    inner.options = &options;
    inner.learning_rate = 1.0;
    inner.gradient = w->gradient;
    inner.groups = w->groups > 0 ? (const float *const *)w->groups_at : NULL;
    inner.states = w->seen;
    inner.values = w->zeros;
    inner.new_values = w->direction;
    return optimizer_adamw.update(&inner);
}

VECTOR_CLONES
static void apply(int64_t count, float keep, float rate, const float *restrict values,
                  float *restrict new_values)
{
    for (int64_t i = 0; i < count; i++) {
        new_values[i] = keep * values[i] + rate * new_values[i];
    }
}

static plumb_status update_matrix(soap_bases *s, soap_work *w)
{
    const optimizer_input *input = s->input;
    PROPAGATE(allocate(input, w));
    PROPAGATE(enter(s, w));
    PROPAGATE(ask_adamw(input, w));
    for (int64_t i = 0; i < blocks_count(&s->grid); i++) {
        block b = blocks_at(&s->grid, i);
        soap_bases_leave(s, &b, w->direction, input->new_values);
    }
    apply(input->count, (float)(1.0 - input->learning_rate * input->options->weight_decay),
          (float)input->learning_rate, input->values, input->new_values);
    return PLUMB_OK;
}

static plumb_status soap_update(const optimizer_input *input)
{
    if (blocks_is_vector(input->rows, input->cols)) {
        plumb_parameter_options options = adamw_options(input->options);
        optimizer_input inner = *input;
        inner.options = &options;
        return optimizer_adamw.update(&inner);
    }
    soap_bases bases;
    soap_work work = {0};
    PROPAGATE(soap_bases_create(input, &bases));
    plumb_status status = update_matrix(&bases, &work);
    free_work(&work);
    soap_bases_free(&bases);
    return status;
}

static int soap_matrix_state_count(const plumb_parameter_options *options, int groups, int64_t rows,
                                   int64_t cols)
{
    (void)options;
    (void)groups;
    return blocks_is_vector(rows, cols) ? 0 : SOAP_MATRIX_STATES;
}

static int64_t soap_matrix_state_size(const plumb_parameter_options *options, int groups,
                                      int64_t rows, int64_t cols, int state)
{
    (void)groups;
    block_grid grid = blocks_of(options->block_size, rows, cols);
    return state == SOAP_STANDING ? 2 * blocks_count(&grid)
                                  : blocks_factors(&grid, (product_side)(state % 2));
}

static const char *soap_matrix_state_name(const plumb_parameter_options *options, int groups,
                                          int64_t rows, int64_t cols, int state, int *group)
{
    static const char *const names[SOAP_MATRIX_STATES] = {
        "left_average", "right_average", "left_basis", "right_basis", "basis_standing"};
    (void)options;
    (void)groups;
    (void)rows;
    (void)cols;
    *group = -1;
    return names[state];
}

static bool soap_wants_groups(const plumb_parameter_options *options)
{
    return optimizer_adamw.wants_groups(options);
}

static void soap_defaults(plumb_parameter_options *options)
{
    options->beta1 = 0.9;
    options->beta2 = 0.95;
    options->epsilon = 1e-8;
    options->weight_decay = 0.1;
}

static plumb_status soap_validate(const plumb_parameter_options *options, int64_t rows,
                                  int64_t cols)
{
    REQUIRE(options->nesterov == 0, PLUMB_ERROR_UNSUPPORTED,
            "SOAP has no Nesterov form: nesterov must be 0");
    REQUIRE(options->root_method == PLUMB_ROOT_EIGEN, PLUMB_ERROR_UNSUPPORTED,
            "SOAP needs eigenvectors: root_method must be the default");
    PROPAGATE(optimizer_adamw.validate(options, rows, cols));
    return blocks_is_vector(rows, cols) ? PLUMB_OK : blocks_check(options->block_size, rows, cols);
}

static plumb_status soap_validate_groups(const plumb_parameter_options *options, int groups)
{
    return optimizer_adamw.validate_groups(options, groups);
}

/* Flops: two products for each array that is rotated, half of one a side for the averages; a
 * decomposition takes the time of about 25 n^3, comparing bases 4 n^3. */
static double soap_cost(const plumb_parameter_options *options, int groups, int64_t rows,
                        int64_t cols, int64_t count)
{
    double seconds = optimizer_adamw.cost(options, groups, rows, cols, count);
    if (blocks_is_vector(rows, cols)) {
        return seconds;
    }
    block_grid grid = blocks_of(options->block_size, rows, cols);
    block b = blocks_at(&grid, 0);
    double m = (double)b.rows, n = (double)b.cols;
    double arrays = 2.5 + (soap_wants_groups(options) ? (double)groups : 0.0);
    double products = 2.0 * m * n * (m + n) * arrays;
    double bases = 29.0 * (m * m * m + n * n * n) / (double)options->root_interval;
    return seconds + (double)blocks_count(&grid) * (products + bases) / PRODUCT_FLOPS_PER_SECOND;
}

const optimizer_kind optimizer_soap = {
    .name = "soap",
    .counts = true,
    .corrections = CORRECTIONS_OF_MOMENTS,
    .state_count = soap_state_count,
    .state_name = soap_state_name,
    .matrix_state_count = soap_matrix_state_count,
    .matrix_state_size = soap_matrix_state_size,
    .matrix_state_name = soap_matrix_state_name,
    .wants_groups = soap_wants_groups,
    .defaults = soap_defaults,
    .validate = soap_validate,
    .validate_groups = soap_validate_groups,
    .update = soap_update,
    .cost = soap_cost,
};
