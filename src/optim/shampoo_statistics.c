/*
 * The averages of L and R: of the outer products of the mean gradient, of the groups' gradients, or
 * a blend of both, as the noise floor c has it. With b = (c G - 1) / (G - 1),
 *
 *     S = (1 - b) a a' + b mean(G_k G_k'),   E S = mean mean' + c covariance,
 *
 * the matrix form of the second moments in correct/statistics.h. Folds are averaged over their own
 * groups at c = 1, so that the whole is the mean of the folds.
 */
#include "optim/shampoo_update.h"

static const product_side sides[] = {PRODUCT_LEFT, PRODUCT_RIGHT};

static int64_t factor_elements(const block *b, product_side side)
{
    int64_t n = product_length(side, b->rows, b->cols);
    return n * n;
}

static void begin_track(const shampoo_update *u, const block *b, int track)
{
    double keep = u->input->options->beta2;
    for (int s = 0; s < 2; s++) {
        const double *old = shampoo_old_factor(u, b, track, SHAMPOO_AVERAGE, sides[s]);
        double *updated = shampoo_new_factor(u, b, track, SHAMPOO_AVERAGE, sides[s]);
        for (int64_t i = 0; i < factor_elements(b, sides[s]); i++) {
            updated[i] = keep * old[i];
        }
    }
}

static void add_sample(const shampoo_update *u, const block *b, int track, double weight,
                       const double *gradient)
{
    for (int s = 0; s < 2; s++) {
        product_gram(sides[s], b->rows, b->cols, weight, gradient, 1.0,
                     shampoo_new_factor(u, b, track, SHAMPOO_AVERAGE, sides[s]));
    }
}

static void add_groups(const shampoo_update *u, const block *b, int track, int first, int end,
                       double weight)
{
    for (int k = first; k < end; k++) {
        shampoo_read_group(u, b, k, u->gradient);
        add_sample(u, b, track, weight / (double)(end - first), u->gradient);
    }
}

static void average_whole(const shampoo_update *u, const block *b)
{
    double add = 1.0 - u->input->options->beta2;
    int groups = u->input->group_count;
    begin_track(u, b, 0);
    if (shampoo_splits(u->input->options)) {
        add_groups(u, b, 0, groups / 2, groups, add);
        return;
    }
    if (u->family.blend < 1.0) {
        blocks_read(&u->grid, b, 1.0, u->input->gradient, u->gradient);
        add_sample(u, b, 0, add * (1.0 - u->family.blend), u->gradient);
    }
    if (u->family.blend > 0.0) {
        add_groups(u, b, 0, 0, groups, add * u->family.blend);
    }
}

static void average_folds(const shampoo_update *u, const block *b)
{
    int size = u->input->group_count / u->folds;
    for (int f = 0; f < u->folds; f++) {
        begin_track(u, b, 1 + f);
        add_groups(u, b, 1 + f, f * size, (f + 1) * size, 1.0 - u->input->options->beta2);
    }
    for (int s = 0; s < 2; s++) {
        double *whole = shampoo_new_factor(u, b, 0, SHAMPOO_AVERAGE, sides[s]);
        for (int64_t i = 0; i < factor_elements(b, sides[s]); i++) {
            whole[i] = 0.0;
        }
        for (int f = 0; f < u->folds; f++) {
            const double *fold = shampoo_new_factor(u, b, 1 + f, SHAMPOO_AVERAGE, sides[s]);
            for (int64_t i = 0; i < factor_elements(b, sides[s]); i++) {
                whole[i] += fold[i] / (double)u->folds;
            }
        }
    }
}

void shampoo_average_factors(const shampoo_update *u, const block *b)
{
    if (u->folds > 0) {
        average_folds(u, b);
    } else {
        average_whole(u, b);
    }
}
