/*
 * Shampoo (Gupta, Koren and Singer 2018), a matrix preconditioner of two factors:
 *
 *     M = beta1 M + (1 - beta1) g;
 *     L = beta2 L + (1 - beta2) S_L;   R = beta2 R + (1 - beta2) S_R;
 *     U = L^-p M R^-p;   x = (1 - rate decay) x - rate U s,
 *
 * where S_L and S_R are g g' and g' g (or their kin, shampoo_statistics.c), p is 1/4 or 1/2, and s
 * brings U to the Frobenius norm of another update (grafting; Anil et al. 2020). Roots are taken
 * every root_interval updates, in double, damping added to every eigenvalue. Large matrices are
 * cut into blocks with factors of their own; s is one number for the whole matrix.
 *
 * Answers where there is no usual one: a parameter of one row or column has no second side and is
 * AdamW's; an L or R that is 0, its gradients being so, has the root 0, and there is no update
 * until a gradient comes.
 */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "correct/correction.h"
#include "optim/elementwise.h"
#include "optim/shampoo_update.h"

/* AdamW's update of what is no matrix, which no correction of Shampoo's fits. */
static plumb_status update_vector(const optimizer_input *input)
{
    plumb_parameter_options options = *input->options;
    options.optimizer = PLUMB_OPTIMIZER_ADAMW;
    options.correction = PLUMB_CORRECTION_NONE;
    options.noise_floor = 0.0;
    options.folds = 0;
    optimizer_input inner = *input;
    inner.options = &options;
    return optimizer_adamw.update(&inner);
}

VECTOR_CLONES
static void follow_moments(int64_t count, elementwise_weight first_weight,
                           elementwise_weight second_weight, const float *restrict numerator,
                           const float *restrict gradient, const float *restrict first,
                           const float *restrict second, float *restrict new_first,
                           float *restrict new_second)
{
    for (int64_t i = 0; i < count; i++) {
        float g = gradient[i];
        new_first[i] = elementwise_lerp(first[i], numerator[i], first_weight);
        new_second[i] = second_weight.complement * second[i] + second_weight.weight * g * g;
    }
}

/* The mean of the first half of the groups. */
static void average_half(const optimizer_input *input, float *mean)
{
    int half = input->group_count / 2;
    memset(mean, 0, (size_t)input->count * sizeof *mean);
    for (int k = 0; k < half; k++) {
        vector_add(input->count, mean, input->groups[k], mean);
    }
    vector_divide(input->count, (float)half, mean, mean);
}

static void follow_fold(const shampoo_update *u, int fold)
{
    const optimizer_input *input = u->input;
    int size = input->group_count / u->folds;
    double keep = input->options->beta1, add = (1.0 - keep) / (double)size;
    const double *old = input->matrix_states[shampoo_fold_moment(u->folds, fold)];
    double *updated = input->new_matrix_states[shampoo_fold_moment(u->folds, fold)];
    for (int64_t i = 0; i < input->count; i++) {
        updated[i] = keep * old[i];
    }
    for (int k = fold * size; k < (fold + 1) * size; k++) {
        for (int64_t i = 0; i < input->count; i++) {
            updated[i] += add * (double)input->groups[k][i];
        }
    }
}

static void follow(const shampoo_update *u)
{
    const optimizer_input *input = u->input;
    const float *numerator = input->gradient;
    if (shampoo_splits(input->options)) {
        average_half(input, input->scratch);
        numerator = input->scratch;
    }
    follow_moments(input->count, elementwise_weight_of_new(input->options->beta1),
                   elementwise_weight_of_new(input->options->beta2), numerator, input->gradient,
                   input->states[SHAMPOO_FIRST_MOMENT], input->states[SHAMPOO_SECOND_MOMENT],
                   input->new_states[SHAMPOO_FIRST_MOMENT],
                   input->new_states[SHAMPOO_SECOND_MOMENT]);
    for (int f = 0; f < u->folds; f++) {
        follow_fold(u, f);
    }
}

typedef struct graft_scalars {
    float first, root_of_second, epsilon;
} graft_scalars;

VECTOR_CLONES
static void adamw_direction(int64_t count, graft_scalars s, const float *restrict first,
                            const float *restrict second, float *restrict direction)
{
    for (int64_t i = 0; i < count; i++) {
        direction[i] = s.first * first[i] / (sqrtf(second[i]) / s.root_of_second + s.epsilon);
    }
}

/* The norm that the update is to have. */
static double grafted_norm(const shampoo_update *u)
{
    const optimizer_input *input = u->input;
    const plumb_parameter_options *options = input->options;
    const float *first = input->new_states[SHAMPOO_FIRST_MOMENT];
    if (options->grafting == PLUMB_GRAFTING_SGD) {
        return u->first_unbiased * sqrt(vector_sum_squares(input->count, first));
    }
    double updates = (double)input->update;
    graft_scalars scalars = {
        .first = (float)(1.0 / (1.0 - pow(options->beta1, updates))),
        .root_of_second = (float)sqrt(1.0 - pow(options->beta2, updates)),
        .epsilon = (float)options->epsilon,
    };
    adamw_direction(input->count, scalars, first, input->new_states[SHAMPOO_SECOND_MOMENT],
                    input->scratch);
    return sqrt(vector_sum_squares(input->count, input->scratch));
}

/* What the direction, in new_values, is to be multiplied by. */
static double graft(const shampoo_update *u)
{
    if (u->input->options->grafting == PLUMB_GRAFTING_NONE) {
        return 1.0;
    }
    double own = sqrt(vector_sum_squares(u->input->count, u->input->new_values));
    return own > 0.0 ? grafted_norm(u) / own : 0.0;
}

VECTOR_CLONES
static void apply(int64_t count, float keep, float step_size, const float *restrict values,
                  float *restrict new_values)
{
    for (int64_t i = 0; i < count; i++) {
        new_values[i] = keep * values[i] - step_size * new_values[i];
    }
}

static shampoo_update begin(const optimizer_input *input)
{
    const plumb_parameter_options *options = input->options;
    double updates = (double)input->update, beta = options->beta2;
    double total = 1.0 - pow(beta, updates);
    shampoo_update u = {
        .input = input,
        .grid = blocks_of(options->block_size, input->rows, input->cols),
        .folds = shampoo_folds(options, input->group_count),
        .root = options->exponent == 0.5 ? 2 : 4,
        .root_due = (input->update - 1) % options->root_interval == 0,
        .first_unbiased = options->bias_correction ? 1.0 / (1.0 - pow(options->beta1, updates)) : 1,
        .second_unbiased = options->bias_correction ? 1.0 / total : 1.0,
        .relative_variance = (1.0 - beta) * (2.0 - total) / ((1.0 + beta) * total),
    };
    double sum = total * u.second_unbiased;
    u.variance = u.relative_variance * sum * sum;
    if (input->group_count > 1) {
        u.family = statistics_family_of(input->group_count, options->noise_floor);
    }
    return u;
}

/* Arrays in the order of the fields, in one piece. */
static plumb_status allocate(shampoo_update *u)
{
    enum { BLOCKS = 6, SQUARES = 3, VECTORS = 3 };
    block largest = blocks_at(&u->grid, 0);
    int64_t elements = largest.rows * largest.cols;
    int64_t n = largest.rows > largest.cols ? largest.rows : largest.cols;
    int64_t count = BLOCKS * elements + SQUARES * n * n + VECTORS * n;
    PROPAGATE(memory_allocate(count, sizeof *u->elements, &u->elements));
    double **blocks[BLOCKS] = {&u->mean,    &u->gradient, &u->other,
                               &u->product, &u->whole,    &u->direction};
    double **squares[SQUARES] = {&u->statistic, &u->sample, &u->pooled};
    double *next = u->elements;
    for (int i = 0; i < BLOCKS; i++, next += elements) {
        *blocks[i] = next;
    }
    for (int i = 0; i < SQUARES; i++, next += n * n) {
        *squares[i] = next;
    }
    u->vectors = next;
    return PLUMB_OK;
}

static plumb_status find_directions(const shampoo_update *u)
{
    for (int64_t i = 0; i < blocks_count(&u->grid); i++) {
        block b = blocks_at(&u->grid, i);
        shampoo_average_factors(u, &b);
        PROPAGATE(shampoo_renew_roots(u, &b));
        shampoo_find_direction(u, &b);
        blocks_write(&u->grid, &b, u->direction, u->input->new_values);
    }
    return PLUMB_OK;
}

static plumb_status shampoo_update_parameter(const optimizer_input *input)
{
    if (blocks_is_vector(input->rows, input->cols)) {
        return update_vector(input);
    }
    const plumb_parameter_options *options = input->options;
    shampoo_update u = begin(input);
    PROPAGATE(allocate(&u));
    follow(&u);
    plumb_status status = find_directions(&u);
    memory_free(&u.elements);
    PROPAGATE(status);
    if (options->correction != PLUMB_CORRECTION_NONE) {
        input->counts->corrected += input->count;
    }
    double step_size = input->learning_rate * graft(&u);
    apply(input->count, (float)(1.0 - input->learning_rate * options->weight_decay),
          (float)step_size, input->values, input->new_values);
    return PLUMB_OK;
}

static bool shampoo_wants_groups(const plumb_parameter_options *options)
{
    switch (options->correction) {
    case PLUMB_CORRECTION_NONE:
        return false;
    case PLUMB_CORRECTION_WISHART:
        return options->noise_floor != 0.0;
    default:
        return true;
    }
}

static void shampoo_defaults(plumb_parameter_options *options)
{
    options->beta1 = 0.9;
    options->beta2 = 0.95;
    options->epsilon = 1e-8;
    options->weight_decay = 0.1;
}

/* Corrections that extrapolate in the number of groups would take the noise floor for bias. */
static bool takes_folds(plumb_correction correction)
{
    return correction == PLUMB_CORRECTION_JACKKNIFE || correction == PLUMB_CORRECTION_HALF_SAMPLE;
}

static plumb_status validate_correction(const plumb_parameter_options *options)
{
    const char *name = correction_name(options->correction);
    REQUIRE(options->folds == 0 || options->correction == PLUMB_CORRECTION_JACKKNIFE,
            PLUMB_ERROR_UNSUPPORTED, "correction %s has no folds to choose: folds must be 0", name);
    REQUIRE(options->folds != 1, PLUMB_ERROR_ARGUMENT, "folds is 1: a jackknife needs 2 or more");
    REQUIRE(!takes_folds(options->correction) || options->noise_floor == 1.0, PLUMB_ERROR_ARGUMENT,
            "correction %s needs noise_floor 1; it is %g: with any other, parts of the groups have "
            "another expectation than the whole, which would count as bias",
            name, options->noise_floor);
    REQUIRE(options->correction != PLUMB_CORRECTION_PAPER_DIAGONAL || options->noise_floor == 0.0,
            PLUMB_ERROR_UNSUPPORTED,
            "correction %s is as published and has no noise floor: noise_floor must be 0", name);
    return PLUMB_OK;
}

/* Roots that corrections take apart by their eigenvalues. */
static bool corrects_roots(plumb_correction correction)
{
    return correction == PLUMB_CORRECTION_SECOND_ORDER || correction == PLUMB_CORRECTION_WISHART ||
           correction == PLUMB_CORRECTION_PAPER_DIAGONAL;
}

static plumb_status shampoo_validate(const plumb_parameter_options *options, int64_t rows,
                                     int64_t cols)
{
    REQUIRE(options->nesterov == 0, PLUMB_ERROR_UNSUPPORTED,
            "Shampoo has no Nesterov form: nesterov must be 0");
    REQUIRE(options->paper_mixing == 0.0 && options->paper_support_clip == 0.0,
            PLUMB_ERROR_UNSUPPORTED,
            "paper_mixing and paper_support_clip belong to AdamW's PAPER modes: they must be 0");
    PROPAGATE(validate_correction(options));
    REQUIRE(options->root_method == PLUMB_ROOT_EIGEN || !corrects_roots(options->correction),
            PLUMB_ERROR_UNSUPPORTED,
            "correction %s needs eigenvalues: root_method must be the default",
            correction_name(options->correction));
    return blocks_is_vector(rows, cols) ? PLUMB_OK : blocks_check(options->block_size, rows, cols);
}

static plumb_status shampoo_validate_groups(const plumb_parameter_options *options, int groups)
{
    if (!shampoo_wants_groups(options)) {
        return PLUMB_OK;
    }
    const char *name = correction_name(options->correction);
    int least = shampoo_splits(options) ? 4 : 2;
    int folds = shampoo_folds(options, groups);
    REQUIRE(groups >= least, PLUMB_ERROR_ARGUMENT,
            "correction %s needs %d groups or more; there %s %d", name, least,
            groups == 1 ? "is" : "are", groups);
    REQUIRE(groups % (shampoo_splits(options) ? 2 : 1) == 0 && (folds == 0 || groups % folds == 0),
            PLUMB_ERROR_ARGUMENT, "correction %s splits the groups in %d folds: %d do not divide",
            name, folds == 0 ? 2 : folds, groups);
    REQUIRE(options->noise_floor == 0.0 || options->noise_floor * (double)groups >= 1.0,
            PLUMB_ERROR_ARGUMENT,
            "noise_floor is %g, below 1/%d, the inverse of the number of groups: L and R could "
            "have negative eigenvalues",
            options->noise_floor, groups);
    return PLUMB_OK;
}

/*
 * Flops: half a product a side for every gradient that enters the averages and one a side for the
 * direction; a decomposition takes the time of about 25 n^3, a root 2 n^3, both together that of 10
 * n^3 by shifted inverses, of which about half are in double.
 */
static double shampoo_cost(const plumb_parameter_options *options, int groups, int64_t rows,
                           int64_t cols, int64_t count)
{
    double seconds = (double)count * elementwise_seconds;
    if (blocks_is_vector(rows, cols)) {
        return seconds;
    }
    block_grid grid = blocks_of(options->block_size, rows, cols);
    block b = blocks_at(&grid, 0);
    double m = (double)b.rows, n = (double)b.cols;
    double tracks = 1.0 + (double)shampoo_folds(options, groups);
    double samples = shampoo_wants_groups(options) ? 1.0 + (double)groups : 1.0;
    double products = m * n * (m + n) * (samples + 2.0 * tracks);
    double one_root = options->root_method == PLUMB_ROOT_RATIONAL ? 10.0 : 27.0;
    double roots = one_root * (m * m * m + n * n * n) * tracks / (double)options->root_interval;
    if (options->correction == PLUMB_CORRECTION_SECOND_ORDER) {
        roots += 10.0 * (m * m * m + n * n * n) * samples / (double)options->root_interval;
    }
    return seconds + (double)blocks_count(&grid) * (products + roots) / PRODUCT_FLOPS_PER_SECOND;
}

const optimizer_kind optimizer_shampoo = {
    .name = "shampoo",
    .needs_scratch = true,
    .counts = true,
    .state_count = shampoo_state_count,
    .state_name = shampoo_state_name,
    .matrix_state_count = shampoo_matrix_state_count,
    .matrix_state_size = shampoo_matrix_state_size,
    .matrix_state_name = shampoo_matrix_state_name,
    .wants_groups = shampoo_wants_groups,
    .corrections = 1U << PLUMB_CORRECTION_SECOND_ORDER | 1U << PLUMB_CORRECTION_WISHART |
                   1U << PLUMB_CORRECTION_JACKKNIFE | 1U << PLUMB_CORRECTION_HALF_SAMPLE |
                   1U << PLUMB_CORRECTION_PAPER_DIAGONAL,
    .defaults = shampoo_defaults,
    .validate = shampoo_validate,
    .validate_groups = shampoo_validate_groups,
    .update = shampoo_update_parameter,
    .cost = shampoo_cost,
};
