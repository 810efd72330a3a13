/*
 * Echo weights (see echo_weights.h): a decomposition of the Gram matrix of the short side for every
 * group, and one for the momentum itself. Tall matrices are transposed, so that the rows are the
 * short side.
 */
#include "correct/echo_weights.h"

#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"
#include "linalg/gram_svd.h"
#include "linalg/product.h"

typedef struct echo_memory {
    gram_svd svd;      /* of side x length */
    double *direction; /* side x length: u */
    double *without;   /* side x length: u_-k */
    double *apart;     /* side x length: g - G_k; later the right singular vectors */
    double *frame;     /* side x side: the left ones */
    double *met;       /* [side]: u_i' (g - G_k) v_i of one k, then of their sum */
    double *noise;     /* [side]: sum over k of the noise in s_i, */
    double *observed;  /* [side]: and of s_i */
    double *weights;   /* [side]: r, then w */
    double *blocks;    /* [side]: of the isotonic regression, the weight of each block */
    int64_t *lengths;  /* [side]: and how many it has */
    double spread;     /* sum over k of |g - G_k|^2 */
} echo_memory;

static void release(echo_memory *m)
{
    gram_svd_free(&m->svd);
    memory_free(&m->direction);
    memory_free(&m->without);
    memory_free(&m->apart);
    memory_free(&m->frame);
    memory_free(&m->met);
    memory_free(&m->noise);
    memory_free(&m->observed);
    memory_free(&m->weights);
    memory_free(&m->blocks);
    memory_free(&m->lengths);
}

static plumb_status allocate(int64_t side, int64_t length, echo_memory *m)
{
    PROPAGATE(gram_svd_create(side, length, &m->svd));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &m->direction));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &m->without));
    PROPAGATE(memory_allocate(side * length, sizeof(double), &m->apart));
    PROPAGATE(memory_allocate(side * side, sizeof(double), &m->frame));
    PROPAGATE(memory_allocate(side, sizeof(double), &m->met));
    PROPAGATE(memory_zeroed(side, sizeof(double), &m->noise));
    PROPAGATE(memory_zeroed(side, sizeof(double), &m->observed));
    PROPAGATE(memory_zeroed(side, sizeof(double), &m->weights));
    PROPAGATE(memory_allocate(side, sizeof(double), &m->blocks));
    return memory_allocate(side, sizeof(int64_t), &m->lengths);
}

/* lying (side x length) = left - right, or left alone, transposed where the rows are the longer. */
static void lay_down(int64_t rows, int64_t cols, const float *left, const float *right,
                     double *lying)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            int64_t from = i * cols + j;
            double value = (double)left[from] - (right == NULL ? 0.0 : (double)right[from]);
            lying[rows <= cols ? from : j * rows + i] = value;
        }
    }
}

/* What group k tells of the directions of all others. */
static plumb_status add_group(const echo_weights *p, int k, echo_memory *m)
{
    int64_t side = m->svd.rows, count = p->rows * p->cols;
    double others = (double)p->groups - 1.0;
    double past = fmax(p->squared - p->newest * p->newest, 0.0);
    double share = p->newest + past * others / ((double)p->groups * p->newest);
    lay_down(p->rows, p->cols, p->mean, p->gradients[k], m->apart);
    for (int64_t i = 0; i < count; i++) {
        m->spread += m->apart[i] * m->apart[i];
        m->without[i] = m->direction[i] + p->newest / others * m->apart[i];
    }
    PROPAGATE(gram_svd_compute(&m->svd, m->without));
    gram_svd_meet(&m->svd, m->without, m->apart, m->met);
    for (int64_t i = 0; i < side; i++) {
        m->noise[i] += (others + 1.0) / others * m->met[i] * share;
        m->observed[i] += m->svd.values[i];
    }
    return PLUMB_OK;
}

/* Isotonic regression (Ayer et al. 1955): the non-increasing sequence nearest to `values` in
 * squares with the weights s_i^2. Blocks of equal values grow while the next is larger. */
static void make_non_increasing(echo_memory *m)
{
    double *values = m->weights;
    int64_t side = m->svd.rows, blocks = 0;
    for (int64_t i = 0; i < side; i++) {
        double value = values[i], weight = m->observed[i] * m->observed[i];
        int64_t length = 1;
        while (blocks > 0 && m->met[blocks - 1] <= value) {
            double both = m->blocks[blocks - 1] + weight;
            double sum = m->blocks[blocks - 1] * m->met[blocks - 1] + weight * value;
            value = both > 0.0 ? sum / both : value;
            weight = both;
            length += m->lengths[--blocks];
        }
        m->met[blocks] = value;
        m->blocks[blocks] = weight;
        m->lengths[blocks++] = length;
    }
    for (int64_t block = 0, i = 0; block < blocks; block++) {
        for (int64_t end = i + m->lengths[block]; i < end; i++) {
            values[i] = m->met[block];
        }
    }
}

static void find_weights(const echo_weights *p, echo_memory *m)
{
    int64_t side = m->svd.rows;
    double groups = (double)p->groups, entries = (double)p->rows * (double)p->cols;
    double past = fmax(p->squared - p->newest * p->newest, 0.0);
    double variance = (p->newest * p->newest / (groups - 1.0) + past / groups) * m->spread /
                      ((groups - 1.0) * entries);
    for (int64_t i = 0; i < side; i++) {
        m->observed[i] /= groups;
        m->noise[i] /= groups;
        m->weights[i] = m->observed[i] > 0.0 ? 1.0 - m->noise[i] / m->observed[i] : 0.0;
    }
    make_non_increasing(m);
    for (int64_t i = 0; i < side; i++) {
        double share = fmin(fmax(m->weights[i], 0.0), 1.0), s = m->observed[i];
        double product = share * s * s;
        double squared = 0.5 * (product + hypot(product, 2.0 * sqrt(entries) * variance));
        m->weights[i] = product > 0.0 ? fmin(share * s / sqrt(squared), 1.0) : 0.0;
    }
}

/* direction = sum w_i u_i v_i' of u itself */
static plumb_status weigh(const echo_weights *p, echo_memory *m, float *direction)
{
    int64_t rows = p->rows, cols = p->cols;
    PROPAGATE(gram_svd_compute(&m->svd, m->direction));
    gram_svd_frames(&m->svd, m->direction, m->frame, m->apart);
    gram_svd_rebuild(m->svd.rows, m->svd.cols, m->weights, m->frame, m->apart, m->without);
    REQUIRE(vector_all_finite_doubles(rows * cols, m->without), PLUMB_ERROR_NUMERICAL,
            "the echo-weighted directions are not finite");
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < cols; j++) {
            direction[i * cols + j] = (float)m->without[rows <= cols ? i * cols + j : j * rows + i];
        }
    }
    return PLUMB_OK;
}

static plumb_status apply(const echo_weights *p, echo_memory *m, float *direction)
{
    lay_down(p->rows, p->cols, direction, NULL, m->direction);
    for (int k = 0; k < p->groups; k++) {
        PROPAGATE(add_group(p, k, m));
    }
    find_weights(p, m);
    return weigh(p, m, direction);
}

plumb_status echo_weights_apply(const echo_weights *problem, float *direction, double *weights)
{
    int64_t rows = problem->rows, cols = problem->cols;
    int64_t side = rows < cols ? rows : cols;
    echo_memory memory = {.spread = 0.0};
    plumb_status status = allocate(side, rows + cols - side, &memory);
    if (status == PLUMB_OK) {
        status = apply(problem, &memory, direction);
    }
    for (int64_t i = 0; i < side && status == PLUMB_OK && weights != NULL; i++) {
        weights[i] = memory.weights[i];
    }
    release(&memory);
    return status;
}

/* A decomposition of the short side is some ten products of it. */
double echo_weights_cost(int64_t rows, int64_t cols, int groups)
{
    double side = (double)(rows < cols ? rows : cols);
    double each = 4.0 * (double)rows * (double)cols * side + 22.0 * side * side * side;
    return ((double)groups + 1.0) * each / PRODUCT_FLOPS_PER_SECOND;
}
