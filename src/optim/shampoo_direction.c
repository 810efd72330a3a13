/*
 * The direction of one block: root of L, momentum, root of R. With folds the product as a whole is
 * jackknifed (Quenouille 1949): with u of all groups and u_-f of all but fold f's,
 *
 *     u_J = F u - (F-1)/F sum u_-f,
 *
 * which takes away what momentum and roots have in common, and the roots with each other, along
 * with their own bias. Two folds give 2 u - (u_A + u_B) / 2. No block moves by more than half of
 * its plain direction; one that would is brought back to that.
 */
#include <math.h>
#include <string.h>

#include "optim/shampoo_update.h"

/* |u_J - u| / |u|, Frobenius norms: the most that is taken over. */
static const double largest_change = 0.5;

static void add_scaled(int64_t count, double scale, const double *from, double *sum)
{
    for (int64_t i = 0; i < count; i++) {
        sum[i] += scale * from[i];
    }
}

static void scale_all(int64_t count, double scale, double *elements)
{
    for (int64_t i = 0; i < count; i++) {
        elements[i] *= scale;
    }
}

static double sum_squares(int64_t count, const double *elements)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += elements[i] * elements[i];
    }
    return sum;
}

static void precondition(const shampoo_update *u, const block *b, int track, const double *moment,
                         double *result)
{
    product_between(b->rows, b->cols, shampoo_new_factor(u, b, track, SHAMPOO_ROOT, PRODUCT_LEFT),
                    moment, shampoo_new_factor(u, b, track, SHAMPOO_ROOT, PRODUCT_RIGHT),
                    u->product, result);
}

/* The moment of all folds but one, into u->gradient. */
static void moment_without(const shampoo_update *u, const block *b, int fold)
{
    int64_t count = b->rows * b->cols;
    double share = u->first_unbiased / (double)(u->folds - 1);
    memset(u->gradient, 0, (size_t)count * sizeof *u->gradient);
    for (int f = 0; f < u->folds; f++) {
        if (f != fold) {
            int state = shampoo_fold_moment(u->folds, f);
            blocks_read_doubles(&u->grid, b, share, u->input->new_matrix_states[state], u->other);
            add_scaled(count, 1.0, u->other, u->gradient);
        }
    }
}

/* u->direction is u_J - u on entry, u->whole u. */
static void bound(const shampoo_update *u, int64_t count)
{
    double limit = largest_change * sqrt(sum_squares(count, u->whole));
    double change = sqrt(sum_squares(count, u->direction));
    if (change > limit) {
        scale_all(count, limit / change, u->direction);
        u->input->counts->clipped += count;
    }
    add_scaled(count, 1.0, u->whole, u->direction);
}

void shampoo_find_direction(const shampoo_update *u, const block *b)
{
    int64_t count = b->rows * b->cols;
    const float *moment = u->input->new_states[SHAMPOO_FIRST_MOMENT];
    blocks_read(&u->grid, b, u->first_unbiased, moment, u->gradient);
    if (u->folds == 0) {
        precondition(u, b, 0, u->gradient, u->direction);
        return;
    }
    double folds = (double)u->folds;
    precondition(u, b, 0, u->gradient, u->whole);
    memset(u->direction, 0, (size_t)count * sizeof *u->direction);
    add_scaled(count, folds - 1.0, u->whole, u->direction);
    for (int f = 0; f < u->folds; f++) {
        moment_without(u, b, f);
        precondition(u, b, 1 + f, u->gradient, u->mean);
        add_scaled(count, -(folds - 1.0) / folds, u->mean, u->direction);
    }
    bound(u, count);
}
