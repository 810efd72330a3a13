/*
 * Corrections of one root of L or R, from what one step's groups say about the variance of the
 * averages: the average of t steps' samples has f times the variance of one,
 *
 *     f = (1 - beta2) (1 + beta2^t) / ((1 + beta2) (1 - beta2^t)).
 *
 * Wishart: if the gradients are normal, the average of L's samples is as good as N independent
 * columns, N = N_c n / f, with n = (tr R)^2 / tr(R^2) columns that count in one gradient, and
 * N_c = c^2 / ((1 - b^2) / G^2 + b^2 / G) such gradients in one step: 1 at c = 1/G, G at c = 1.
 *
 * Second order: with deviations D_k = G_k - a from the mean gradient a, group k moves the sample by
 *
 *     H_k = a D_k' + D_k a' + b (D_k D_k' - mean D D'),
 *
 * and the bias is f / (G (G - 1)) sum T2(H_k) times a factor between 1/2 and 1: where b < 1 the
 * noise of a counts twice, in H_k and as what the sample deviates by. In the norm of the sample's
 * deviations, sum |H_k|^2 / (G (G - 1)), that is too much by, for normal gradients,
 *
 *     (1 - b^2) / (2 G^2 k) mean |D_j D_l' + D_l D_j'|^2,   j != l,   k = (G^2 - 2 G + 3) / G^2,
 *
 * averaged over neighbours (the last's is the first), which is the second term of Var s_c in
 * correct/statistics.h if there is one element. The factor takes that share away in all directions
 * alike: taking T2 of the pairs away instead is unbiased, and now and then leaves next to nothing
 * to invert.
 */
#include "optim/shampoo_update.h"

static double wishart_samples(const shampoo_update *u, const block *b, product_side side)
{
    product_side across = side == PRODUCT_LEFT ? PRODUCT_RIGHT : PRODUCT_LEFT;
    double columns = product_effective_rank(product_length(across, b->rows, b->cols),
                                            shampoo_new_factor(u, b, 0, SHAMPOO_AVERAGE, across));
    double gradients = 1.0;
    if (u->family.blend > 0.0) {
        double n = (double)u->family.groups, c = u->family.noise_floor, blend = u->family.blend;
        gradients = c * c / ((1.0 - blend * blend) / (n * n) + blend * blend / n);
    }
    return gradients * columns / u->relative_variance;
}

/* D_k into `deviation`; the mean stands in u->mean. */
static void deviate(const shampoo_update *u, const block *b, int group, double *deviation)
{
    shampoo_read_group(u, b, group, deviation);
    for (int64_t i = 0; i < b->rows * b->cols; i++) {
        deviation[i] -= u->mean[i];
    }
}

/* mean D D' into u->pooled. */
static void pool(const shampoo_update *u, const block *b, product_side side)
{
    int groups = u->family.groups;
    for (int k = 0; k < groups; k++) {
        deviate(u, b, k, u->gradient);
        product_gram(side, b->rows, b->cols, 1.0 / (double)groups, u->gradient, k > 0 ? 1.0 : 0.0,
                     u->pooled);
    }
}

/* H_k into u->sample; where b > 0 with mean D D' in u->pooled. */
static void move(const shampoo_update *u, const block *b, product_side side, int64_t n, int group)
{
    double blend = u->family.blend;
    deviate(u, b, group, u->gradient);
    product_gram_pair(side, b->rows, b->cols, 1.0, u->mean, u->gradient, 0.0, u->sample);
    if (blend > 0.0) {
        product_gram(side, b->rows, b->cols, blend, u->gradient, 1.0, u->sample);
        for (int64_t i = 0; i < n * n; i++) {
            u->sample[i] -= blend * u->pooled[i];
        }
    }
}

/* What of the moves' squared norm is not the noise of the mean counted twice. */
static double single_share(const shampoo_update *u, const block *b, product_side side, int64_t n)
{
    int groups = u->family.groups;
    double count = (double)groups, blend = u->family.blend;
    double moves = 0.0, pairs = 0.0;
    for (int k = 0; k < groups; k++) {
        move(u, b, side, n, k);
        moves += product_sum_squares(n, u->sample) / (count * (count - 1.0));
        deviate(u, b, k, u->gradient);
        deviate(u, b, (k + 1) % groups, u->other);
        product_gram_pair(side, b->rows, b->cols, 1.0, u->gradient, u->other, 0.0, u->sample);
        pairs += product_sum_squares(n, u->sample) / count;
    }
    double twice = (1.0 - blend * blend) / (2.0 * (count * count - 2.0 * count + 3.0)) * pairs;
    return twice < 0.5 * moves ? 1.0 - twice / moves : 0.5;
}

static plumb_status second_order(const shampoo_update *u, const block *b, product_side side,
                                 matrix_root *m, double *root)
{
    double groups = (double)u->family.groups;
    blocks_read(&u->grid, b, 1.0, u->input->gradient, u->mean);
    if (u->family.blend > 0.0) {
        pool(u, b, side);
    }
    double share = u->family.blend < 1.0 ? single_share(u, b, side, m->n) : 1.0;
    for (int k = 0; k < u->family.groups; k++) {
        move(u, b, side, m->n, k);
        matrix_root_add_deviation(m, u->sample, share * u->variance / (groups * (groups - 1.0)));
    }
    return matrix_root_corrected(m, root);
}

/*
 * The variance over the groups of fold B of the eigenvalues q_k' (beta2 L + (1 - beta2) S_j) q_k,
 * divided by their number (Welford's recurrence).
 */
static void paper_diagonal(const shampoo_update *u, const block *b, product_side side,
                           matrix_root *m, double *root)
{
    double *estimate = u->vectors, *mean = u->vectors + m->n, *squares = u->vectors + 2 * m->n;
    int groups = u->input->group_count / 2;
    double scale = (1.0 - u->input->options->beta2) * u->second_unbiased;
    for (int64_t i = 0; i < m->n; i++) {
        mean[i] = squares[i] = 0.0;
    }
    for (int k = 0; k < groups; k++) {
        shampoo_read_group(u, b, groups + k, u->gradient);
        product_gram(side, b->rows, b->cols, scale, u->gradient, 0.0, u->sample);
        matrix_root_rayleigh(m, u->sample, estimate);
        for (int64_t i = 0; i < m->n; i++) {
            double step = estimate[i] - mean[i];
            mean[i] += step / (double)(k + 1);
            squares[i] += step * (estimate[i] - mean[i]);
        }
    }
    for (int64_t i = 0; i < m->n; i++) {
        squares[i] /= (double)groups * (double)(groups - 1);
    }
    matrix_root_paper_diagonal(m, squares, 0.0, root);
}

plumb_status shampoo_corrected_root(const shampoo_update *u, const block *b, product_side side,
                                    matrix_root *m, double *root)
{
    switch (u->input->options->correction) {
    case PLUMB_CORRECTION_SECOND_ORDER:
        return second_order(u, b, side, m, root);
    case PLUMB_CORRECTION_WISHART:
        matrix_root_wishart(m, wishart_samples(u, b, side));
        return matrix_root_corrected(m, root);
    case PLUMB_CORRECTION_PAPER_DIAGONAL:
        paper_diagonal(u, b, side, m, root);
        return PLUMB_OK;
    default:
        matrix_root_plain(m, root);
        return PLUMB_OK;
    }
}
