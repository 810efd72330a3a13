/*
 * The roots of L and R of one block, where it is their turn: of the averages, and of those without
 * one fold where the correction leaves folds out. A factor that has no root yet, because its
 * gradients were 0, is looked at in every step.
 */
#include <string.h>

#include "base/error.h"
#include "optim/shampoo_decompose.h"
#include "optim/shampoo_update.h"

/* One root of one block: of the whole (track 0), or without fold track - 1. */
typedef struct root_place {
    const block *block;
    product_side side;
    int track;
    int64_t n;
} root_place;

static void add_scaled(int64_t count, double scale, const double *from, double *sum)
{
    for (int64_t i = 0; i < count; i++) {
        sum[i] += scale * from[i];
    }
}

/* The average that the root is of, with the weights as options have them, into u->statistic. */
static void gather(const shampoo_update *u, root_place r)
{
    int64_t count = r.n * r.n;
    memset(u->statistic, 0, (size_t)count * sizeof *u->statistic);
    if (r.track == 0) {
        add_scaled(count, u->second_unbiased,
                   shampoo_new_factor(u, r.block, 0, SHAMPOO_AVERAGE, r.side), u->statistic);
        return;
    }
    double share = u->second_unbiased / (double)(u->folds - 1);
    for (int f = 0; f < u->folds; f++) {
        if (f != r.track - 1) {
            add_scaled(count, share, shampoo_new_factor(u, r.block, 1 + f, SHAMPOO_AVERAGE, r.side),
                       u->statistic);
        }
    }
}

static bool is_rational(const shampoo_update *u)
{
    return u->input->options->root_method == PLUMB_ROOT_RATIONAL;
}

static plumb_status decompose(const shampoo_update *u, root_place r, double old_standing,
                              double *standing, matrix_root *m)
{
    double *root = shampoo_new_factor(u, r.block, r.track, SHAMPOO_ROOT, r.side);
    const double *old_root = shampoo_old_factor(u, r.block, r.track, SHAMPOO_ROOT, r.side);
    size_t bytes = (size_t)(r.n * r.n) * sizeof *root;
    const plumb_parameter_options *options = u->input->options;
    shampoo_factor factor = {
        options->damping, options->relative_damping,   options->root_failures, r.block, r.side,
        old_standing,     is_rational(u) ? root : NULL};
    shampoo_outcome outcome = SHAMPOO_FAILED;
    gather(u, r);
    PROPAGATE(shampoo_decompose(&factor, m, u->statistic, standing, &outcome,
                                &u->input->counts->roots_failed));
    switch (outcome) {
    case SHAMPOO_ZERO:
        memset(root, 0, bytes);
        return PLUMB_OK;
    case SHAMPOO_FAILED:
        memcpy(root, old_root, bytes);
        return PLUMB_OK;
    case SHAMPOO_DECOMPOSED:
        break;
    }
    if (factor.rational != NULL) {
        return PLUMB_OK;
    }
    if (r.track > 0) {
        matrix_root_plain(m, root);
        return PLUMB_OK;
    }
    return shampoo_corrected_root(u, r.block, r.side, m, root);
}

static plumb_status renew(const shampoo_update *u, root_place r)
{
    int state = shampoo_state(r.track, SHAMPOO_STANDING);
    int64_t place = 2 * r.block->number + (int64_t)r.side;
    double old_standing = u->input->matrix_states[state][place];
    double *standing = u->input->new_matrix_states[state] + place;
    if (!u->root_due && old_standing != shampoo_none_yet) {
        *standing = old_standing;
        memcpy(shampoo_new_factor(u, r.block, r.track, SHAMPOO_ROOT, r.side),
               shampoo_old_factor(u, r.block, r.track, SHAMPOO_ROOT, r.side),
               (size_t)(r.n * r.n) * sizeof(double));
        return PLUMB_OK;
    }
    matrix_root m = {.n = r.n, .root = u->root};
    if (!is_rational(u)) {
        PROPAGATE(matrix_root_create(r.n, u->root, &m));
    }
    plumb_status status = decompose(u, r, old_standing, standing, &m);
    matrix_root_free(&m);
    return status;
}

plumb_status shampoo_renew_roots(const shampoo_update *u, const block *b)
{
    for (int track = 0; track <= u->folds; track++) {
        PROPAGATE(renew(u, (root_place){b, PRODUCT_LEFT, track, b->rows}));
        PROPAGATE(renew(u, (root_place){b, PRODUCT_RIGHT, track, b->cols}));
    }
    return PLUMB_OK;
}
