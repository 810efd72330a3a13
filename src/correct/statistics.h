/*
 * Statistics over the gradients g_1 .. g_G of the groups, element by element: samples of the second
 * moment, of its variance, and of its covariance with the mean gradient.
 *
 * With the mean a, deviations d_k = g_k - a and S^2 = sum d_k^2 / (G-1), the second moments are the
 * family
 *
 *     s_c = a^2 - S^2/G + c S^2,   E s_c = mean^2 + c variance:
 *
 * c = 1/G is the square of the mean, c = 1 the mean of squares. Between them lies the weight
 * b = (c G - 1) / (G - 1) of the latter, s_c = (1 - b) a^2 + b mean(g_k^2). With
 * h_k = 2 a d_k + b (d_k^2 - mean d^2), what g_k moves s_c by,
 *
 *     Var s_c      = sum h_k^2 / (G (G-1)) - (1 - b^2) 2/G^2 S^4 (G-1)/(G+1)
 *     Cov(a, s_c)  = sum d_k h_k / (G (G-1)).
 *
 * For b = 1 both are unbiased for any distribution (sample variance and covariance of g_k^2);
 * for b < 1 the second term of the variance makes up, for a normal distribution, what estimating
 * the mean in h_k costs, and it is exact for every b; the covariance has a bias of
 * (1 - b) k_3 / G^2 if the third cumulant k_3 is not 0. b = 0 gives 4 a^2 S^2 / G - ... and
 * 2 a S^2 / G, the plug-ins of the square of the mean. A single Var s_c may be negative: only
 * averages of it are used.
 *
 * A fold is some consecutive groups, its others the n groups left. Formed from n groups at the same
 * c, the statistic has the same expectation, and with e_k = g_k - mean it is
 * mean^2 + 2 mean avg(e) + c avg(e^2) + (1-c) avg(e_i e_j, i != j), the last uncorrelated with the
 * others. Hence, for any distribution,
 *
 *     Var s_c = Var(2 mean e + c e^2) / n + 2 (1-c)^2 variance^2 / (n (n-1)),
 *
 * of which n groups, a and d_k being theirs, give the estimate
 *
 *     sum h_k^2 / (n (n-1)) + w (sum d_k^2)^2 / ((n-1) (n+1)),
 *     w = 2 (c^2/n + (1-c)^2/(n (n-1))) - (4 + 2 b^2 (n-2)) / n^2,
 *
 * with any b, which makes it exact for normal distributions; b = c = 1 has w = 0 and is exact for
 * all of them. With n = G it is the Var s_c above; where (c n - 1) / (n - 1) < 0, b is 0.
 */
#ifndef PLUMB_CORRECT_STATISTICS_H
#define PLUMB_CORRECT_STATISTICS_H

#include <stdint.h>

/* Elements that are worked on at once, so that all intermediate results stay in the cache. */
enum { STATISTICS_BLOCK = 256 };

/* Elements of the block that begins at `first` of `count` elements. */
static inline int64_t statistics_block(int64_t count, int64_t first)
{
    int64_t left = count - first;
    return left < STATISTICS_BLOCK ? left : STATISTICS_BLOCK;
}

typedef struct statistics_family {
    int groups;
    double noise_floor; /* c */
    double blend;       /* b */
} statistics_family;

/* c = 0 means 1/G. */
statistics_family statistics_family_of(int groups, double noise_floor);

/* Sums over the groups of d_k^2, d_k^3 and d_k^4. */
typedef struct statistics_sums {
    double second[STATISTICS_BLOCK], third[STATISTICS_BLOCK], fourth[STATISTICS_BLOCK];
} statistics_sums;

/*
 * Elements first .. first + count - 1, at most STATISTICS_BLOCK, of gradients[groups] and mean.
 * Where b = 0 only the second powers matter, and the others are 0.
 */
void statistics_sums_of(int64_t first, int64_t count, statistics_family family,
                        const float *const *gradients, const float *mean, statistics_sums *sums);

/* Samples of the second moment, its variance, and its covariance with the mean; [count] each. */
void statistics_second(int64_t count, statistics_family family, const float *mean,
                       const statistics_sums *sums, double *second);
void statistics_variance(int64_t count, statistics_family family, const float *mean,
                         const statistics_sums *sums, double *variance);
void statistics_covariance(int64_t count, statistics_family family, const float *mean,
                           const statistics_sums *sums, double *covariance);

/* Sums over the groups of one fold of d_k, d_k^2, d_k^3 and d_k^4. */
typedef struct statistics_fold {
    double first[STATISTICS_BLOCK], second[STATISTICS_BLOCK], third[STATISTICS_BLOCK],
        fourth[STATISTICS_BLOCK];
} statistics_fold;

/* Elements first .. first + count - 1 of fold number `fold` of `folds`; as statistics_sums_of. */
void statistics_fold_of(int64_t first, int64_t count, statistics_family family, int folds, int fold,
                        const float *const *gradients, const float *mean, statistics_fold *sums);

/*
 * s_c and its variance from the others of a fold, with the same c; [count] each. The expectation of
 * the first is that of the whole, and with folds of one group its mean over the folds is the whole
 * itself. It may be negative if c < 1/n. With n = 1, which needs c = 1, the variance is from all
 * groups.
 */
void statistics_of_others(int64_t count, statistics_family family, int folds, const float *mean,
                          const statistics_sums *sums, const statistics_fold *fold, double *second,
                          double *variance);

#endif
