/*
 * Reverberation: the overlap Z_ab = <u_a, u_b> <v_a, v_b> of the same direction in two groups has
 * the expectation echo_a echo_b, from which echo_a follows without the true gradient:
 *
 *     echo_a^2 = sum_bc Z_ab Z_bc Z_ca / (|Z|^2 - 2 sum_b Z_ab^2),   b, c other than a,
 *
 * exact for Z_ab = echo_a echo_b. (With |Z|^2 alone below, as it has been published, the result is
 * too small by (count-2)/count for equal echoes.)
 *
 * This is the echo of *one group*. The exact law takes it to the mean of all: x is count times as
 * large. A direction below the threshold of one group has no overlap, whatever the mean knows.
 */
#include "diagnose/echo_reverb.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "diagnose/echo_law.h"
#include "diagnose/isotonic.h"

/* Mean overlap below which nothing is told: single groups have then less than half an echo. */
static const double LEAST_OVERLAP = 0.25;

typedef struct reverb {
    const echo_groups *groups;
    const gram_svd *mean_svd;
    gram_svd svd;         /* of one group */
    double *matrix;       /* side x length: that group */
    double *mean_left;    /* side x side: directions of the mean, one a row, */
    double *mean_right;   /* side x length */
    double *lefts;        /* [count]: side x side, in the order of the mean's directions */
    double *rights;       /* [count]: side x length */
    double *left, *right; /* of one group, in its own order */
    double *products;     /* 2 side x side: overlaps with the mean */
    double *overlaps;     /* count x count */
    double *replicas;     /* count */
} reverb;

static void reverb_free(reverb *r)
{
    gram_svd_free(&r->svd);
    memory_free(&r->matrix);
    memory_free(&r->mean_left);
    memory_free(&r->mean_right);
    memory_free(&r->lefts);
    memory_free(&r->rights);
    memory_free(&r->left);
    memory_free(&r->right);
    memory_free(&r->products);
    memory_free(&r->overlaps);
    memory_free(&r->replicas);
}

static plumb_status reverb_allocate(reverb *r)
{
    int64_t side = r->groups->side, length = r->groups->length, count = r->groups->count;
    PROPAGATE(gram_svd_create(side, length, &r->svd));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &r->matrix));
    PROPAGATE(memory_allocate(side * side, sizeof(double), &r->mean_left));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &r->mean_right));
    PROPAGATE(memory_allocate(count * side * side, sizeof(double), &r->lefts));
    PROPAGATE(memory_allocate(count * side * length, sizeof(double), &r->rights));
    PROPAGATE(memory_allocate(side * side, sizeof(double), &r->left));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &r->right));
    PROPAGATE(memory_allocate(2 * side * side, sizeof(double), &r->products));
    PROPAGATE(memory_allocate(count * count, sizeof(double), &r->overlaps));
    return memory_allocate(count, sizeof(double), &r->replicas);
}

/* sum over b of (Z Z)_ab Z_ba with a zero diagonal: all closed walks of three steps from a. */
static double triangles(int64_t count, const double *z, int64_t a)
{
    double sum = 0.0;
    for (int64_t b = 0; b < count; b++) {
        for (int64_t c = 0; c < count; c++) {
            if (b != a && c != a && b != c) {
                sum += z[a * count + b] * z[b * count + c] * z[c * count + a];
            }
        }
    }
    return sum;
}

/* Sum of the squares of the elements off the diagonal that are not in row or column a. */
static double squares_without(int64_t count, const double *z, int64_t a)
{
    double sum = 0.0;
    for (int64_t b = 0; b < count; b++) {
        for (int64_t c = 0; c < count; c++) {
            if (b != a && c != a && b != c) {
                sum += z[b * count + c] * z[b * count + c];
            }
        }
    }
    return sum;
}

void echo_reverb_replicas(int64_t count, const double *overlaps, double *echoes)
{
    for (int64_t a = 0; a < count; a++) {
        double above = triangles(count, overlaps, a), below = squares_without(count, overlaps, a);
        echoes[a] = above > 0.0 && below > 0.0 ? sqrt(above / below) : 0.0;
    }
    if (count == 2) {
        echoes[0] = overlaps[1] > 0.0 ? sqrt(overlaps[1]) : 0.0;
        echoes[1] = echoes[0];
    }
}

static void copy_vector(int64_t count, const double *from, double *to)
{
    for (int64_t i = 0; i < count; i++) {
        to[i] = from[i];
    }
}

/* The group's direction that is most like the mean's `i`; it is then struck out for the others. */
static int64_t take_likest(int64_t side, int64_t i, double *likeness)
{
    int64_t likest = 0;
    for (int64_t j = 1; j < side; j++) {
        likest = likeness[i * side + j] > likeness[i * side + likest] ? j : likest;
    }
    for (int64_t k = i + 1; k < side; k++) {
        likeness[k * side + likest] = -1.0;
    }
    return likest;
}

/* Close singular values change places between groups: each direction is looked for by likeness. */
static void align(reverb *r, int64_t group)
{
    int64_t side = r->groups->side, length = r->groups->length;
    double *products = r->products, *others = r->products + side * side;
    gram_svd_overlaps(side, side, r->mean_left, r->left, products);
    gram_svd_overlaps(side, length, r->mean_right, r->right, others);
    for (int64_t i = 0; i < side * side; i++) {
        products[i] = fabs(products[i] * others[i]);
    }
    for (int64_t i = 0; i < side; i++) {
        int64_t j = take_likest(side, i, products);
        copy_vector(side, r->left + j * side, r->lefts + (group * side + i) * side);
        copy_vector(length, r->right + j * length, r->rights + (group * side + i) * length);
    }
}

static plumb_status decompose_groups(reverb *r, const double *mean)
{
    gram_svd_frames(r->mean_svd, mean, r->mean_left, r->mean_right);
    for (int64_t k = 0; k < r->groups->count; k++) {
        echo_groups_fold(r->groups, k, r->matrix);
        PROPAGATE(gram_svd_compute(&r->svd, r->matrix));
        gram_svd_frames(&r->svd, r->matrix, r->left, r->right);
        align(r, k);
    }
    return PLUMB_OK;
}

static double dot(int64_t count, const double *a, const double *b)
{
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* Overlaps of direction i in groups a and b; the signs of u and v change together. */
static double overlap(const reverb *r, int64_t i, int64_t a, int64_t b)
{
    int64_t side = r->groups->side, length = r->groups->length;
    return dot(side, r->lefts + (a * side + i) * side, r->lefts + (b * side + i) * side) *
           dot(length, r->rights + (a * side + i) * length, r->rights + (b * side + i) * length);
}

/* The mean echo of direction i in single groups, NaN if it is too weak to tell. */
static double group_echo(reverb *r, int64_t i)
{
    int64_t count = r->groups->count;
    double sum = 0.0, pairs = 0.5 * (double)count * (double)(count - 1);
    for (int64_t a = 0; a < count; a++) {
        for (int64_t b = 0; b < a; b++) {
            double here = overlap(r, i, a, b);
            r->overlaps[a * count + b] = here;
            r->overlaps[b * count + a] = here;
            sum += here;
        }
    }
    if (!(sum >= LEAST_OVERLAP * pairs)) {
        return NAN;
    }
    echo_reverb_replicas(count, r->overlaps, r->replicas);
    sum = 0.0;
    for (int64_t a = 0; a < count; a++) {
        sum += r->replicas[a];
    }
    return fmin(sum / (double)count, 1.0);
}

/* From the echo in a group, in place, to signal and echo in the mean. */
static void convert(const reverb *r, int64_t i, double *signals, double *echoes)
{
    int64_t rows = r->groups->side, cols = r->groups->length;
    double shape = sqrt((double)rows / (double)cols);
    double ratio = (double)r->groups->count * echo_law_inverse(rows, cols, echoes[i]);
    signals[i] =
        r->mean_svd->values[i] / sqrt((1.0 + shape / ratio) * (1.0 + 1.0 / (shape * ratio)));
    echoes[i] = echo_law_at(rows, cols, ratio);
}

static plumb_status tell(reverb *r, double *signals, double *echoes)
{
    int64_t side = r->groups->side, told = 0;
    for (int64_t i = 0; i < side; i++) {
        signals[i] = NAN;
        echoes[i] = told == i ? group_echo(r, i) : NAN;
        told += isnan(echoes[i]) ? 0 : 1;
    }
    PROPAGATE(isotonic_decreasing(told, echoes));
    for (int64_t i = 0; i < told; i++) {
        convert(r, i, signals, echoes);
    }
    return PLUMB_OK;
}

plumb_status echo_reverb(const echo_groups *groups, const gram_svd *svd, const double *mean,
                         double *signals, double *echoes)
{
    reverb r = {.groups = groups, .mean_svd = svd};
    plumb_status status = reverb_allocate(&r);
    if (status == PLUMB_OK) {
        status = decompose_groups(&r, mean);
    }
    if (status == PLUMB_OK) {
        status = tell(&r, signals, echoes);
    }
    reverb_free(&r);
    return status;
}
