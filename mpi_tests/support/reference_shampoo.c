/*
 * The plain reference of Shampoo (see reference_shampoo.h).
 */
#include "support/reference_shampoo.h"

#include <math.h>
#include <string.h>

enum { SIDE = REFERENCE_SHAMPOO_SIDE, COUNT = REFERENCE_SHAMPOO_COUNT };

static void rotate(int n, int p, int q, double *a, double *vectors)
{
    double theta = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
    double t = (theta >= 0.0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1.0));
    double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
    for (int k = 0; k < n; k++) {
        double x = a[k * n + p], y = a[k * n + q];
        a[k * n + p] = c * x - s * y;
        a[k * n + q] = s * x + c * y;
    }
    for (int k = 0; k < n; k++) {
        double x = a[p * n + k], y = a[q * n + k];
        a[p * n + k] = c * x - s * y;
        a[q * n + k] = s * x + c * y;
        x = vectors[k * n + p];
        y = vectors[k * n + q];
        vectors[k * n + p] = c * x - s * y;
        vectors[k * n + q] = s * x + c * y;
    }
}

void reference_eigen(int n, const double *matrix, double *values, double *vectors)
{
    double a[COUNT];
    memcpy(a, matrix, (size_t)(n * n) * sizeof *a);
    for (int i = 0; i < n * n; i++) {
        vectors[i] = i / n == i % n ? 1.0 : 0.0;
    }
    for (int sweep = 0; sweep < 40; sweep++) {
        for (int p = 0; p < n; p++) {
            for (int q = p + 1; q < n; q++) {
                if (a[p * n + q] != 0.0) {
                    rotate(n, p, q, a, vectors);
                }
            }
        }
    }
    for (int i = 0; i < n; i++) {
        values[i] = a[i * n + i];
    }
}

static int side_of(const reference_shampoo *r, int side)
{
    return side == 0 ? r->rows : r->cols;
}

/* sum += weight (A B' + B A') / 2, or of the transposed. */
static void add_outer(const reference_shampoo *r, int side, double weight, const double *a,
                      const double *b, double *sum)
{
    int n = side_of(r, side);
    int inner = side == 0 ? r->cols : r->rows;
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            for (int k = 0; k < inner; k++) {
                int ik = side == 0 ? i * r->cols + k : k * r->cols + i;
                int jk = side == 0 ? j * r->cols + k : k * r->cols + j;
                sum[i * n + j] += 0.5 * weight * (a[ik] * b[jk] + b[ik] * a[jk]);
            }
        }
    }
}

/* The mean of groups first .. end-1 but those of [skip, skip_end). */
static void mean_of(const reference_shampoo *r, float *const *g, int first, int end, int skip,
                    int skip_end, double *mean)
{
    int used = 0;
    memset(mean, 0, COUNT * sizeof *mean);
    for (int k = first; k < end; k++) {
        if (k < skip || k >= skip_end) {
            used++;
            for (int i = 0; i < r->rows * r->cols; i++) {
                mean[i] += (double)g[k][i];
            }
        }
    }
    for (int i = 0; i < r->rows * r->cols; i++) {
        mean[i] /= used;
    }
}

/* The mean outer product of the same groups. */
static void outer_of(const reference_shampoo *r, int side, float *const *g, int first, int end,
                     int skip, int skip_end, double *sum)
{
    int used = 0;
    memset(sum, 0, COUNT * sizeof *sum);
    for (int k = first; k < end; k++) {
        used += k < skip || k >= skip_end;
    }
    for (int k = first; k < end; k++) {
        if (k < skip || k >= skip_end) {
            double gradient[COUNT] = {0};
            for (int i = 0; i < r->rows * r->cols; i++) {
                gradient[i] = (double)g[k][i];
            }
            add_outer(r, side, 1.0 / used, gradient, gradient, sum);
        }
    }
}

static double blend_of(const reference_shampoo *r)
{
    double c = r->options.noise_floor, n = r->groups;
    return c == 0.0 || r->groups < 2 ? 0.0 : (c * n - 1.0) / (n - 1.0);
}

/* The sample of L or R. */
static void sample_of(const reference_shampoo *r, int side, float *const *g, double *sample)
{
    double mean[COUNT], outer[COUNT], of_mean[COUNT] = {0};
    double b = blend_of(r);
    if (r->options.correction == PLUMB_CORRECTION_PAPER_DIAGONAL) {
        outer_of(r, side, g, r->groups / 2, r->groups, 0, 0, sample);
        return;
    }
    mean_of(r, g, 0, r->groups, 0, 0, mean);
    add_outer(r, side, 1.0, mean, mean, of_mean);
    outer_of(r, side, g, 0, r->groups, 0, 0, outer);
    for (int i = 0; i < COUNT; i++) {
        sample[i] = (1.0 - b) * of_mean[i] + b * outer[i];
    }
}

static void average(int count, double beta, const double *sample, double *state)
{
    for (int i = 0; i < count; i++) {
        state[i] = beta * state[i] + (1.0 - beta) * sample[i];
    }
}

/* A power of a matrix given by its spectrum. */
static void rebuild(int n, const double *values, const double *vectors, double *matrix)
{
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            matrix[i * n + j] = 0.0;
            for (int k = 0; k < n; k++) {
                matrix[i * n + j] += vectors[i * n + k] * values[k] * vectors[j * n + k];
            }
        }
    }
}

typedef struct spectrum {
    int n;
    double power; /* 1/r */
    double values[SIDE], undamped[SIDE], vectors[COUNT];
} spectrum;

static double first_difference(const spectrum *s, int i, int j)
{
    double x = s->values[i], y = s->values[j];
    return i == j ? -s->power * pow(x, -s->power - 1.0)
                  : (pow(x, -s->power) - pow(y, -s->power)) / (x - y);
}

/* f[i,k,j] by quotients of differences. */
static double second_difference(const spectrum *s, int i, int k, int j)
{
    if (i == j && i == k) {
        return 0.5 * s->power * (s->power + 1.0) * pow(s->values[i], -s->power - 2.0);
    }
    if (i == j) {
        return (first_difference(s, i, i) - first_difference(s, i, k)) /
               (s->values[i] - s->values[k]);
    }
    return (first_difference(s, i, k) - first_difference(s, k, j)) / (s->values[i] - s->values[j]);
}

/* bias += weight T2(Q' deviation Q), as the triple sum. */
static void add_second_order(const spectrum *s, double weight, const double *deviation,
                             double *bias)
{
    int n = s->n;
    double half[COUNT] = {0}, turned[COUNT] = {0};
    for (int i = 0; i < n * n * n; i++) {
        int a = i / n / n, b = i / n % n, k = i % n;
        half[a * n + b] += deviation[a * n + k] * s->vectors[k * n + b];
    }
    for (int i = 0; i < n * n * n; i++) {
        int a = i / n / n, b = i / n % n, k = i % n;
        turned[a * n + b] += s->vectors[k * n + a] * half[k * n + b];
    }
    for (int i = 0; i < n * n * n; i++) {
        int a = i / n / n, b = i / n % n, k = i % n;
        bias[a * n + b] +=
            weight * second_difference(s, a, k, b) * turned[a * n + k] * turned[k * n + b];
    }
}

/* D_k = G_k - mean */
static void deviate(const reference_shampoo *r, float *const *g, int k, const double *mean,
                    double *deviation)
{
    for (int i = 0; i < r->rows * r->cols; i++) {
        deviation[i] = (double)g[k][i] - mean[i];
    }
}

/* The sum of the squares of an average's weights, as they are used. */
static double squared_weights(const reference_shampoo *r)
{
    double beta = r->options.beta2, sum = 0.0, total = 1.0 - pow(beta, r->updates);
    for (int age = 0; age < r->updates; age++) {
        double weight = (1.0 - beta) * pow(beta, age);
        sum += weight * weight;
    }
    return r->options.bias_correction ? sum / total / total : sum;
}

/* H_k, what group k moves the sample of L or R by. */
static void move_of(const reference_shampoo *r, int side, float *const *g, const double *mean,
                    int k, double *moved)
{
    double b = blend_of(r), one[COUNT];
    memset(moved, 0, COUNT * sizeof *moved);
    for (int j = 0; j < r->groups; j++) {
        deviate(r, g, j, mean, one);
        add_outer(r, side, (j == k ? b : 0.0) - b / r->groups, one, one, moved);
    }
    deviate(r, g, k, mean, one);
    add_outer(r, side, 2.0, mean, one, moved);
}

/* The share of sum |H_k|^2 that does not count the noise of the mean twice. */
static double single_share(const reference_shampoo *r, int side, float *const *g,
                           const double *mean)
{
    double n = r->groups, b = blend_of(r), moves = 0.0, pairs = 0.0;
    int count = side_of(r, side) * side_of(r, side);
    for (int k = 0; k < r->groups; k++) {
        double one[COUNT], next[COUNT], moved[COUNT], pair[COUNT] = {0};
        move_of(r, side, g, mean, k, moved);
        deviate(r, g, k, mean, one);
        deviate(r, g, (k + 1) % r->groups, mean, next);
        add_outer(r, side, 2.0, one, next, pair);
        for (int i = 0; i < count; i++) {
            moves += moved[i] * moved[i] / n / (n - 1.0);
            pairs += pair[i] * pair[i] / n;
        }
    }
    double deviation = ((n - 1.0) * (n - 1.0) + 2.0) / n / n;
    return fmax(0.5, 1.0 - (1.0 - b * b) / (2.0 * n * n * deviation) * pairs / moves);
}

static void second_order_bias(const reference_shampoo *r, int side, float *const *g,
                              const spectrum *s, double *bias)
{
    double n = r->groups, mean[COUNT], moved[COUNT];
    mean_of(r, g, 0, r->groups, 0, 0, mean);
    double weight = squared_weights(r) / n / (n - 1.0) * single_share(r, side, g, mean);
    for (int k = 0; k < r->groups; k++) {
        move_of(r, side, g, mean, k, moved);
        add_second_order(s, weight, moved, bias);
    }
}

static void wishart_bias(const reference_shampoo *r, int side, const spectrum *s, double *bias)
{
    int m = side_of(r, 1 - side);
    const double *other = r->whole.averages[1 - side];
    double trace = 0.0, squares = 0.0, b = blend_of(r), n = r->groups, c = r->options.noise_floor;
    for (int i = 0; i < m * m; i++) {
        trace += i / m == i % m ? other[i] : 0.0;
        squares += other[i] * other[i];
    }
    double gradients = b == 0.0 ? 1.0 : c * c / ((1.0 - b * b) / n / n + b * b / n);
    double total = r->options.bias_correction ? 1.0 : 1.0 - pow(r->options.beta2, r->updates);
    double samples = gradients * trace * trace / squares / (squared_weights(r) / total / total);
    for (int i = 0; i < s->n; i++) {
        double sum = second_difference(s, i, i, i) * s->undamped[i] * s->undamped[i];
        for (int k = 0; k < s->n; k++) {
            sum += second_difference(s, i, k, i) * s->undamped[i] * s->undamped[k];
        }
        bias[i * s->n + i] = sum / samples;
    }
}

/* root = Q (f^-1 + f^-1 bias f^-1)^-1 Q' by the spectrum of what is inverted. */
static void without_bias(const spectrum *s, const double *bias, double *root)
{
    int n = s->n;
    double inner[COUNT] = {0}, values[SIDE], vectors[COUNT], inverse[COUNT], half[COUNT] = {0};
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            double a = pow(s->values[i], s->power), b = pow(s->values[j], s->power);
            inner[i * n + j] = a * bias[i * n + j] * b + (i == j ? a : 0.0);
        }
    }
    reference_eigen(n, inner, values, vectors);
    for (int i = 0; i < n; i++) {
        values[i] = 1.0 / values[i];
    }
    rebuild(n, values, vectors, inverse);
    for (int i = 0; i < n * n * n; i++) {
        int a = i / n / n, b = i / n % n, k = i % n;
        half[a * n + b] += s->vectors[a * n + k] * inverse[k * n + b];
    }
    memset(root, 0, COUNT * sizeof *root);
    for (int i = 0; i < n * n * n; i++) {
        int a = i / n / n, b = i / n % n, k = i % n;
        root[a * n + b] += half[a * n + k] * s->vectors[b * n + k];
    }
}

/* Eigenvalues corrected by the variance of q' (beta2 L + (1 - beta2) G_j G_j') q over fold B. */
static void paper_root(const reference_shampoo *r, int side, float *const *g, const spectrum *s,
                       double *root)
{
    int half = r->groups / 2;
    double values[SIDE];
    double scale = 1.0 - r->options.beta2;
    scale /= r->options.bias_correction ? 1.0 - pow(r->options.beta2, r->updates) : 1.0;
    for (int i = 0; i < s->n; i++) {
        double sum = 0.0, squares = 0.0;
        for (int k = half; k < r->groups; k++) {
            double outer[COUNT], estimate = 0.0;
            outer_of(r, side, g, k, k + 1, 0, 0, outer);
            for (int p = 0; p < s->n * s->n; p++) {
                estimate +=
                    s->vectors[p / s->n * s->n + i] * outer[p] * s->vectors[p % s->n * s->n + i];
            }
            sum += estimate;
            squares += estimate * estimate;
        }
        double variance = (squares - sum * sum / half) / (half - 1) / half * scale * scale;
        values[i] = pow(s->values[i], -s->power) - 0.5 * s->power * (s->power + 1.0) *
                                                       pow(s->values[i], -s->power - 2.0) *
                                                       variance;
        values[i] = values[i] > 0.0 ? values[i] : 0.0;
    }
    rebuild(s->n, values, s->vectors, root);
}

static spectrum spectrum_of(const reference_shampoo *r, int side, const double *statistic)
{
    spectrum s = {.n = side_of(r, side), .power = r->options.exponent};
    double scaled[COUNT], largest = 0.0;
    double total = 1.0 - pow(r->options.beta2, r->updates);
    for (int i = 0; i < COUNT; i++) {
        scaled[i] = r->options.bias_correction ? statistic[i] / total : statistic[i];
    }
    reference_eigen(s.n, scaled, s.values, s.vectors);
    for (int i = 0; i < s.n; i++) {
        largest = fmax(largest, s.values[i]);
    }
    for (int i = 0; i < s.n; i++) {
        s.undamped[i] = fmax(s.values[i], 0.0);
        s.values[i] += r->options.damping + r->options.relative_damping * largest;
    }
    return s;
}

static void plain_root(const spectrum *s, double *root)
{
    double values[SIDE];
    for (int i = 0; i < s->n; i++) {
        values[i] = pow(s->values[i], -s->power);
    }
    rebuild(s->n, values, s->vectors, root);
}

static void find_root(reference_shampoo *r, int side, float *const *g)
{
    spectrum s = spectrum_of(r, side, r->whole.averages[side]);
    double *root = r->whole.roots[side];
    double bias[COUNT] = {0};
    switch (r->options.correction) {
    case PLUMB_CORRECTION_SECOND_ORDER:
        second_order_bias(r, side, g, &s, bias);
        without_bias(&s, bias, root);
        break;
    case PLUMB_CORRECTION_WISHART:
        wishart_bias(r, side, &s, bias);
        without_bias(&s, bias, root);
        break;
    case PLUMB_CORRECTION_PAPER_DIAGONAL:
        paper_root(r, side, g, &s, root);
        break;
    default:
        plain_root(&s, root);
    }
}

static void product(const reference_shampoo *r, const reference_shampoo_track *t, double *result)
{
    double half[COUNT] = {0};
    int m = r->rows, n = r->cols;
    double scale =
        r->options.bias_correction ? 1.0 / (1.0 - pow(r->options.beta1, r->updates)) : 1.0;
    memset(result, 0, COUNT * sizeof *result);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            for (int k = 0; k < m; k++) {
                half[i * n + j] += t->roots[0][i * m + k] * scale * t->moment[k * n + j];
            }
        }
    }
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            for (int k = 0; k < n; k++) {
                result[i * n + j] += half[i * n + k] * t->roots[1][k * n + j];
            }
        }
    }
}

static double norm_of(int count, const double *elements)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        sum += elements[i] * elements[i];
    }
    return sqrt(sum);
}

static int folds_of(const reference_shampoo *r)
{
    if (r->options.correction == PLUMB_CORRECTION_HALF_SAMPLE) {
        return 2;
    }
    if (r->options.correction != PLUMB_CORRECTION_JACKKNIFE) {
        return 0;
    }
    return r->options.folds > 0 ? r->options.folds : r->groups;
}

/* The tracks that leave a fold out: every one an optimizer of its own on the other groups. */
static void follow_without(reference_shampoo *r, int due, float *const *g)
{
    int folds = folds_of(r), size = folds > 0 ? r->groups / folds : 0;
    for (int f = 0; f < folds; f++) {
        reference_shampoo_track *t = &r->without[f];
        double sample[COUNT];
        mean_of(r, g, 0, r->groups, f * size, (f + 1) * size, sample);
        average(COUNT, r->options.beta1, sample, t->moment);
        for (int side = 0; side < 2; side++) {
            outer_of(r, side, g, 0, r->groups, f * size, (f + 1) * size, sample);
            average(COUNT, r->options.beta2, sample, t->averages[side]);
            if (due) {
                spectrum s = spectrum_of(r, side, t->averages[side]);
                plain_root(&s, t->roots[side]);
            }
        }
    }
}

static void jackknife(reference_shampoo *r)
{
    int folds = folds_of(r), count = r->rows * r->cols;
    double whole[COUNT], change[COUNT];
    memcpy(whole, r->direction, sizeof whole);
    for (int i = 0; i < count; i++) {
        change[i] = (folds - 1.0) * whole[i];
    }
    for (int f = 0; f < folds; f++) {
        double one[COUNT];
        product(r, &r->without[f], one);
        for (int i = 0; i < count; i++) {
            change[i] -= (folds - 1.0) / folds * one[i];
        }
    }
    double limit = 0.5 * norm_of(count, whole), length = norm_of(count, change);
    r->clipped = length > limit;
    for (int i = 0; i < count; i++) {
        r->direction[i] = whole[i] + change[i] * (length > limit ? limit / length : 1.0);
    }
}

static double graft(const reference_shampoo *r)
{
    int count = r->rows * r->cols;
    double other[COUNT];
    double one = 1.0 - pow(r->options.beta1, r->updates);
    double two = 1.0 - pow(r->options.beta2, r->updates);
    switch (r->options.grafting) {
    case PLUMB_GRAFTING_ADAMW:
        for (int i = 0; i < count; i++) {
            other[i] = r->whole.moment[i] / one / (sqrt(r->second[i] / two) + r->options.epsilon);
        }
        return norm_of(count, other) / norm_of(count, r->direction);
    case PLUMB_GRAFTING_SGD:
        return norm_of(count, r->whole.moment) / (r->options.bias_correction ? one : 1.0) /
               norm_of(count, r->direction);
    default:
        return 1.0;
    }
}

void reference_shampoo_step(reference_shampoo *r, double rate, float *const *gradients)
{
    int due = r->updates % r->options.root_interval == 0;
    int split = r->options.correction == PLUMB_CORRECTION_PAPER_DIAGONAL;
    double mean[COUNT], numerator[COUNT], sample[COUNT];
    r->updates++;
    mean_of(r, gradients, 0, r->groups, 0, 0, mean);
    mean_of(r, gradients, 0, split ? r->groups / 2 : r->groups, 0, 0, numerator);
    average(COUNT, r->options.beta1, numerator, r->whole.moment);
    for (int i = 0; i < COUNT; i++) {
        mean[i] *= mean[i];
    }
    average(COUNT, r->options.beta2, mean, r->second);
    for (int side = 0; side < 2; side++) {
        sample_of(r, side, gradients, sample);
        average(COUNT, r->options.beta2, sample, r->whole.averages[side]);
    }
    for (int side = 0; side < 2 && due; side++) {
        find_root(r, side, gradients);
    }
    product(r, &r->whole, r->direction);
    follow_without(r, due, gradients);
    if (folds_of(r) > 0) {
        jackknife(r);
    }
    double scale = graft(r);
    for (int i = 0; i < r->rows * r->cols; i++) {
        r->values[i] =
            (1.0 - rate * r->options.weight_decay) * r->values[i] - rate * scale * r->direction[i];
    }
}
