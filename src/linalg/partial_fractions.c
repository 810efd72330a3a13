/*
 * Zolotarev's function in closed form (Zolotarev 1877; Nakatsukasa and Freund, SIAM Review 58,
 * 2016, section 3). With l = lowest, l' = sqrt(1 - l^2), K' = K(l') and
 *
 *     c_i = l^2 sc^2(i K' / (2r + 1); l'),   i = 1 .. 2r,
 *
 * y C prod (y^2 + c_2j) / (y^2 + c_(2j-1)) is the odd rational function of degree 2r + 1 that is
 * next to 1 on [l, 1]. It equioscillates from its smallest value at l to its largest at 1, which
 * gives C and the error. The elliptic function comes from the arithmetic-geometric mean (Abramowitz
 * and Stegun 16.4), its upper half from sc(K' - u) = 1 / (l sc(u)), that is c_i c_(2r+1-i) = l^2,
 * since sc itself loses digits there.
 *
 * A set of coefficients takes less than a microsecond, a hundredth of the smallest polar factor
 * that matters: nothing is remembered, so there is nothing for threads to share.
 */
#include "linalg/partial_fractions.h"

#include <math.h>

#include "base/error.h"

/* The mean of doubles converges in 6 steps from 1e-8. */
enum { MOST_MEANS = 12 };

/* The means a_n and the c_n of Abramowitz and Stegun 16.4.1 for the modulus sqrt(1 - l^2). */
typedef struct means {
    int count;
    double a[MOST_MEANS], c[MOST_MEANS];
} means;

static void means_compute(double lowest, means *m)
{
    double b = lowest;
    m->a[0] = 1.0;
    m->c[0] = sqrt((1.0 - lowest) * (1.0 + lowest));
    int n = 0;
    while (n + 1 < MOST_MEANS && fabs(m->c[n]) > 1e-17 * m->a[n]) {
        m->a[n + 1] = 0.5 * (m->a[n] + b);
        m->c[n + 1] = 0.5 * (m->a[n] - b);
        b = sqrt(m->a[n] * b);
        n++;
    }
    m->count = n;
}

/* sc(share K') for share in (0, 1/2]: K' = pi / (2 a_N), phi_N = 2^N a_N u. */
static double elliptic_sc(const means *m, double share)
{
    static const double PI = 3.14159265358979323846;
    double phi = ldexp(share * PI / 2.0, m->count);
    for (int n = m->count; n > 0; n--) {
        phi = 0.5 * (phi + asin(m->c[n] / m->a[n] * sin(phi)));
    }
    return tan(phi);
}

/* y C prod without the C. */
static double product_form(const double *c, int poles, double y)
{
    double value = y;
    for (int j = 0; j < poles; j++) {
        value *= (y * y + c[2 * j + 1]) / (y * y + c[2 * j]);
    }
    return value;
}

/* The residue at y^2 = -c[2j] of the product without the C; positive, since the c ascend. */
static double residue(const double *c, int poles, int j)
{
    double value = c[2 * j + 1] - c[2 * j];
    for (int k = 0; k < poles; k++) {
        if (k != j) {
            value *= (c[2 * k + 1] - c[2 * j]) / (c[2 * k] - c[2 * j]);
        }
    }
    return value;
}

static void compute(double lowest, int poles, partial_fractions *f)
{
    double c[2 * PARTIAL_FRACTIONS_MOST];
    means m;
    means_compute(lowest, &m);
    for (int i = 0; i < poles; i++) {
        double sc = elliptic_sc(&m, (double)(i + 1) / (double)(2 * poles + 1));
        c[i] = lowest * lowest * sc * sc;
        c[2 * poles - 1 - i] = 1.0 / (sc * sc);
    }
    double least = product_form(c, poles, lowest);
    double most = product_form(c, poles, 1.0);
    *f = (partial_fractions){
        .poles = poles, .constant = 2.0 / (least + most), .error = (most - least) / (most + least)};
    for (int j = 0; j < poles; j++) {
        f->weights[j] = f->constant * residue(c, poles, j);
        f->shifts[j] = c[2 * j];
    }
}

plumb_status partial_fractions_zolotarev(double lowest, int poles, partial_fractions *f)
{
    REQUIRE(lowest >= 1e-8 && lowest < 1.0, PLUMB_ERROR_ARGUMENT,
            "the lowest value is %g: it must be in [1e-8, 1)", lowest);
    REQUIRE(poles >= 1 && poles <= PARTIAL_FRACTIONS_MOST, PLUMB_ERROR_ARGUMENT,
            "%d poles: there may be 1 to %d", poles, PARTIAL_FRACTIONS_MOST);
    compute(lowest, poles, f);
    return PLUMB_OK;
}

plumb_status partial_fractions_zolotarev_within(double lowest, double error, partial_fractions *f)
{
    for (int poles = 1; poles <= PARTIAL_FRACTIONS_MOST; poles++) {
        PROPAGATE(partial_fractions_zolotarev(lowest, poles, f));
        if (f->error <= error) {
            break;
        }
    }
    return PLUMB_OK;
}

/*
 * g1 = (y + l/y) / (1 + l) takes [l, 1] to [l1, 1], l1 = 2 sqrt(l) / (1 + l); and with
 * 1/g1 = (1 + l) y / (y^2 + l), g2 = (g1 + l1/g1) / (1 + l1) is a sum of fractions too. After either
 * the values lie in [l', 1], and 2 / (1 + l') times them about 1.
 */
plumb_status partial_fractions_newton(double lowest, int steps, partial_fractions *f)
{
    REQUIRE(lowest > 0.0 && lowest < 1.0, PLUMB_ERROR_ARGUMENT,
            "the lowest value is %g: it must be in (0, 1)", lowest);
    REQUIRE(steps == 1 || steps == 2, PLUMB_ERROR_ARGUMENT, "%d steps: there may be 1 or 2", steps);
    double first = 2.0 * sqrt(lowest) / (1.0 + lowest);
    double second = 2.0 * sqrt(first) / (1.0 + first);
    double left = steps == 1 ? first : second;
    double scale = 2.0 / (1.0 + left);
    scale = steps == 1 ? scale : scale / (1.0 + first);
    *f = (partial_fractions){.poles = steps,
                             .constant = scale / (1.0 + lowest),
                             .weights = {scale * lowest / (1.0 + lowest)},
                             .error = (1.0 - left) / (1.0 + left)};
    if (steps == 2) {
        f->weights[1] = scale * first * (1.0 + lowest);
        f->shifts[1] = lowest;
    }
    return PLUMB_OK;
}
