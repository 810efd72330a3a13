/*
 * What the singular directions of all folds but one are worth to the fold that was left out:
 *
 *     strength_i = mean over folds k of  u_i(-k)' G_k v_i(-k),
 *
 * where G_k is independent of the directions, so that the noise in it averages to nothing and
 * strength_i has the expectation of u_i' G v_i = s echo, G being the true gradient (Bi-cross-
 * validation by rows and columns has the same idea: Owen and Perry 2009). That is the echo at the
 * noise of the mean of all folds but one, whatever the covariance of the noise.
 *
 * The strength falls with the index up to noise of the size of an entry's, so it is made monotone.
 * Then the echo is strength / s. For s there is the law's relation between what is observed and
 * what is kept, observed strength = s^2 - m n sigma^4 / s^2, with the variance of the folds; its
 * second term matters close to the threshold only, where it keeps directions without a signal from
 * being told an echo of sqrt(strength / observed).
 */
#include "diagnose/echo_cross.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "diagnose/isotonic.h"

typedef struct cross {
    const echo_groups *groups;
    const double *mean;
    gram_svd *svd;
    double *fold, *rest; /* side x length: the fold, and the mean of all others */
    double *strengths;   /* side: means over folds, */
    double *observed;    /* side: likewise, of singular values of the rest */
    double *met;         /* side */
    double *gains;       /* folds: sum_i u_i(-k)' G_k v_i(-k) */
    double squares;      /* sum over folds of |fold - mean|^2 */
} cross;

static void cross_free(cross *c)
{
    memory_free(&c->fold);
    memory_free(&c->rest);
    memory_free(&c->strengths);
    memory_free(&c->observed);
    memory_free(&c->met);
}

static plumb_status cross_allocate(cross *c)
{
    int64_t side = c->groups->side, elements = side * c->groups->length;
    PROPAGATE(memory_allocate(elements, sizeof(double), &c->fold));
    PROPAGATE(memory_allocate(elements, sizeof(double), &c->rest));
    PROPAGATE(memory_zeroed(side, sizeof(double), &c->strengths));
    PROPAGATE(memory_zeroed(side, sizeof(double), &c->observed));
    return memory_allocate(side, sizeof(double), &c->met);
}

static plumb_status leave_out(cross *c, int64_t fold)
{
    int64_t side = c->groups->side, elements = side * c->groups->length;
    double folds = (double)c->groups->folds;
    echo_groups_fold(c->groups, fold, c->fold);
    c->squares += echo_groups_distance(c->groups, c->fold, c->mean);
    for (int64_t i = 0; i < elements; i++) {
        c->rest[i] = c->mean[i] + (c->mean[i] - c->fold[i]) / (folds - 1.0);
    }
    PROPAGATE(gram_svd_compute(c->svd, c->rest));
    gram_svd_meet(c->svd, c->rest, c->fold, c->met);
    c->gains[fold] = 0.0;
    for (int64_t i = 0; i < side; i++) {
        c->gains[fold] += c->met[i];
        c->strengths[i] += c->met[i] / folds;
        c->observed[i] += c->svd->values[i] / folds;
    }
    return PLUMB_OK;
}

/* sqrt(m n) sigma^2 of the mean of all folds but one: the squared threshold. */
static double squared_threshold(const cross *c)
{
    double freedom = (double)(c->groups->folds - 1);
    double elements = (double)(c->groups->side * c->groups->length);
    return c->squares / (freedom * freedom * sqrt(elements));
}

static plumb_status judge(const cross *c, double *signals, double *echoes)
{
    int64_t side = c->groups->side;
    double threshold = squared_threshold(c);
    PROPAGATE(isotonic_decreasing(side, c->strengths));
    for (int64_t i = 0; i < side; i++) {
        double product = c->strengths[i] * c->observed[i];
        signals[i] = product > 0.0 ? sqrt(0.5 * (product + hypot(product, 2.0 * threshold))) : 0.0;
        echoes[i] = product > 0.0 ? fmin(c->strengths[i] / signals[i], 1.0) : 0.0;
    }
    return isotonic_decreasing(side, echoes);
}

plumb_status echo_cross_validate(const echo_groups *groups, const double *mean, gram_svd *svd,
                                 double *signals, double *echoes, double *gains)
{
    cross c = {.groups = groups, .mean = mean, .svd = svd, .gains = gains};
    plumb_status status = cross_allocate(&c);
    for (int64_t fold = 0; fold < groups->folds && status == PLUMB_OK; fold++) {
        status = leave_out(&c, fold);
    }
    if (status == PLUMB_OK) {
        status = judge(&c, signals, echoes);
    }
    cross_free(&c);
    return status;
}
