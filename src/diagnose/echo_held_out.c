/*
 * The echo measured and not estimated: the mean of all folds but one stands in for the true
 * gradient, and the fold that was left out, which is independent of it, is the measured one. Of
 * direction j of the stand-in that leaves max over i of <u_j, u_hat_i> <v_j, v_hat_i>: the largest,
 * because close singular values change places. Nothing is assumed of the noise but that folds are
 * independent and alike.
 *
 * The stand-in has noise of its own, a part in (folds - 1) of a fold's. Its singular values are
 * corrected for that by the law; the echoes are not, and are too small by about as much.
 */
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "diagnose/covariance_whitening.h"
#include "diagnose/echo_groups.h"
#include "diagnose/echo_law.h"
#include "diagnose/whitening.h"
#include "linalg/gram_svd.h"

typedef struct held_out {
    echo_groups groups;
    covariance_whitening covariance;
    gram_svd svd;
    double *mean, *fold, *rest;      /* side x length */
    double *left, *own_left;         /* side x side: directions of the rest, and of the fold */
    double *right, *own_right;       /* side x length */
    double *lefts, *rights;          /* side x side: overlaps */
    double *values, *sums, *squares; /* side: singular values of rests and echoes, over folds */
    double deviations;               /* sum over folds of |fold - mean|^2 */
} held_out;

static void held_out_free(held_out *h)
{
    whitening_free(&h->groups.whitening);
    covariance_whitening_free(&h->covariance);
    gram_svd_free(&h->svd);
    double **all[] = {&h->mean,      &h->fold,  &h->rest,   &h->left,   &h->own_left, &h->right,
                      &h->own_right, &h->lefts, &h->rights, &h->values, &h->sums,     &h->squares};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        memory_free(all[i]);
    }
}

static plumb_status held_out_allocate(held_out *h)
{
    int64_t side = h->groups.side, elements = side * h->groups.length;
    double **wide[] = {&h->mean, &h->fold, &h->rest, &h->right, &h->own_right};
    double **square[] = {&h->left, &h->own_left, &h->lefts, &h->rights};
    double **sums[] = {&h->values, &h->sums, &h->squares};
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        PROPAGATE(memory_allocate(elements, sizeof(double), wide[i]));
    }
    for (size_t i = 0; i < sizeof square / sizeof square[0]; i++) {
        PROPAGATE(memory_allocate(side * side, sizeof(double), square[i]));
    }
    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        PROPAGATE(memory_zeroed(side, sizeof(double), sums[i]));
    }
    return gram_svd_create(side, h->groups.length, &h->svd);
}

static void add_overlaps(held_out *h)
{
    int64_t side = h->groups.side;
    gram_svd_overlaps(side, side, h->left, h->own_left, h->lefts);
    gram_svd_overlaps(side, h->groups.length, h->right, h->own_right, h->rights);
    for (int64_t j = 0; j < side; j++) {
        double nearest = 0.0;
        for (int64_t i = 0; i < side; i++) {
            nearest = fmax(nearest, h->lefts[j * side + i] * h->rights[j * side + i]);
        }
        h->sums[j] += nearest;
        h->squares[j] += nearest * nearest;
    }
}

static plumb_status hold_out(held_out *h, int64_t fold)
{
    int64_t elements = h->groups.side * h->groups.length;
    double others = (double)(h->groups.folds - 1);
    echo_groups_fold(&h->groups, fold, h->fold);
    covariance_whitening_apply(&h->groups, &h->covariance, h->fold);
    h->deviations += echo_groups_distance(&h->groups, h->fold, h->mean);
    for (int64_t i = 0; i < elements; i++) {
        h->rest[i] = h->mean[i] + (h->mean[i] - h->fold[i]) / others;
    }
    PROPAGATE(gram_svd_compute(&h->svd, h->rest));
    gram_svd_frames(&h->svd, h->rest, h->left, h->right);
    for (int64_t i = 0; i < h->groups.side; i++) {
        h->values[i] += h->svd.values[i];
    }
    PROPAGATE(gram_svd_compute(&h->svd, h->fold));
    gram_svd_frames(&h->svd, h->fold, h->own_left, h->own_right);
    add_overlaps(h);
    return PLUMB_OK;
}

static plumb_status prepare(held_out *h, const plumb_echo_options *o)
{
    REQUIRE(o->size == sizeof *o, PLUMB_ERROR_ARGUMENT,
            "plumb_echo_options of %zu bytes are not known; this library's have %zu", o->size,
            sizeof *o);
    REQUIRE(o->folds >= 0 && (o->folds == 0 || h->groups.count % o->folds == 0),
            PLUMB_ERROR_ARGUMENT, "folds is %d: it must be 0 or a divisor of the %lld groups",
            o->folds, (long long)h->groups.count);
    REQUIRE(o->most >= 0 && o->most <= h->groups.side && o->whiten >= 0 && o->whiten <= 2,
            PLUMB_ERROR_ARGUMENT, "most is %lld and whiten %d: they must be 0 to %lld, and 0 to 2",
            (long long)o->most, o->whiten, (long long)h->groups.side);
    h->groups.folds = o->folds > 0 ? o->folds : h->groups.count;
    REQUIRE(h->groups.folds >= 2, PLUMB_ERROR_ARGUMENT,
            "one fold leaves no others that could stand in for the true gradient");
    if (o->whiten == 1) {
        PROPAGATE(whitening_create(&h->groups, &h->groups.whitening));
    } else if (o->whiten == 2) {
        PROPAGATE(covariance_whitening_create(&h->groups, &h->covariance));
    }
    return held_out_allocate(h);
}

static plumb_status measure(held_out *h)
{
    plumb_status status = PLUMB_OK;
    echo_groups_mean(&h->groups, h->mean);
    covariance_whitening_apply(&h->groups, &h->covariance, h->mean);
    for (int64_t fold = 0; fold < h->groups.folds && status == PLUMB_OK; fold++) {
        status = hold_out(h, fold);
    }
    return status;
}

static double standard_error(double sum, double squares, double count)
{
    double variance = (squares - sum * sum / count) / (count - 1.0);
    return sqrt(fmax(variance, 0.0) / count);
}

static void tell(const held_out *h, int64_t most, double *variance, double *signals, double *echoes,
                 double *errors)
{
    int64_t side = h->groups.side, length = h->groups.length;
    double folds = (double)h->groups.folds;
    double one = h->deviations / ((folds - 1.0) * (double)(side * length));
    /* Stand-ins of zero have no directions. */
    double known = h->values[0] > 0.0 ? 0.0 : NAN;
    if (variance != NULL) {
        *variance = one;
    }
    for (int64_t j = 0; j < most; j++) {
        if (signals != NULL) {
            signals[j] =
                known + echo_law_signal(side, length, one / (folds - 1.0), h->values[j] / folds);
        }
        if (echoes != NULL) {
            echoes[j] = known + h->sums[j] / folds;
        }
        if (errors != NULL) {
            errors[j] = known + standard_error(h->sums[j], h->squares[j], folds);
        }
    }
}

plumb_status plumb_echo_held_out(int64_t rows, int64_t cols, int64_t count,
                                 const float *const *groups, const plumb_echo_options *options,
                                 double *variance, double *signals, double *echoes, double *errors)
{
    held_out h = {.deviations = 0.0};
    plumb_echo_options defaults = {.size = sizeof defaults};
    const plumb_echo_options *o = options != NULL ? options : &defaults;
    PROPAGATE(echo_groups_init(rows, cols, count, groups, &h.groups));
    plumb_status status = prepare(&h, o);
    if (status == PLUMB_OK) {
        status = measure(&h);
    }
    if (status == PLUMB_OK) {
        tell(&h, o->most > 0 ? o->most : h.groups.side, variance, signals, echoes, errors);
    }
    held_out_free(&h);
    return status;
}
