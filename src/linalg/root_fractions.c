/*
 * Rational approximations of x^(-1/r) for r = 1, 2, 4 (see partial_fractions.h). For r = 1 there is
 * nothing to approximate and for r = 2 Zolotarev's closed form; for r = 4 the best function is
 * found by Remez exchange, each step a Newton step in the logarithms of c, a_j and d_j, which keeps
 * them positive and the unknowns of one size however long the interval.
 *
 * The start is what makes it safe: Zolotarev's poles for x^(-1/2), whose weights are those of a
 * quadrature of the integral over t of t^(-p) / (x + t), which is pi / sin(pi p) x^(-p). Moved to
 * p = 1/4 they have the right number of oscillations within a small factor of the best error, and
 * their error is about sin(pi p) times Zolotarev's (Stahl, Acta Mathematica 190, 2003, has that
 * factor for the uniform error of x^p), which also says how many poles to try.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"
#include "linalg/partial_fractions.h"

enum {
    MOST_UNKNOWNS = 2 * PARTIAL_FRACTIONS_MOST + 2, /* c, a_j, d_j and the error */
    POINTS_PER_UNKNOWN = 12,
    MOST_POINTS = MOST_UNKNOWNS * POINTS_PER_UNKNOWN + 1,
    MOST_EXCHANGES = 40
};

/* Below it rounding takes part in which function is best. */
static const double LEAST_ERROR = 1e-12;

/* Largest over smallest extremum at which the exchange ends: no other function is better by more.
 */
static const double EVEN_ENOUGH = 1.001;

/* In the error itself. */
static const double ROUNDING = 1e-14;

/* Intervals shorter than [1/2, 1] are taken as that: there three poles reach what double can. */
static const double SHORTEST = 0.5;

/* Largest step of a logarithm. */
static const double LONGEST_STEP = 0.7;

typedef struct extremum {
    double x, value;
} extremum;

typedef struct fit {
    double power; /* p of x^-p */
    partial_fractions *f;
    int unknowns; /* as many extrema as unknowns */
    int points;
    double x[MOST_POINTS], values[MOST_POINTS]; /* where the error is looked at; from lowest to 1 */
    double scale[MOST_POINTS];                  /* x^p */
    extremum extrema[MOST_UNKNOWNS];
    double matrix[MOST_UNKNOWNS][MOST_UNKNOWNS + 1];
} fit;

/* x^p f(x) - 1. */
static double relative_error(const fit *w, double x, double scale)
{
    const partial_fractions *f = w->f;
    double sum = f->constant;
    for (int j = 0; j < f->poles; j++) {
        sum += f->weights[j] / (x + f->shifts[j]);
    }
    return scale * sum - 1.0;
}

/* Points in the logarithm of x, closer towards the ends, as the extrema are. */
static void choose_points(fit *w, double lowest)
{
    static const double PI = 3.14159265358979323846;
    w->points = w->unknowns * POINTS_PER_UNKNOWN + 1;
    for (int i = 0; i < w->points; i++) {
        double t = (double)i / (double)(w->points - 1);
        double share = 0.5 * (t + 0.5 * (1.0 - cos(PI * t)));
        w->x[i] = exp((1.0 - share) * log(lowest));
        w->scale[i] = pow(w->x[i], w->power);
    }
}

/* The top of the parabola through three points, in the logarithm of x. */
static extremum refined(const fit *w, int i)
{
    double left = log(w->x[i - 1] / w->x[i]), right = log(w->x[i + 1] / w->x[i]);
    double below = (w->values[i - 1] - w->values[i]) / left;
    double above = (w->values[i + 1] - w->values[i]) / right;
    double curvature = (above - below) / (right - left);
    double step = curvature != 0.0 ? -0.5 * (below - curvature * left) / curvature : 0.0;
    step = fmin(fmax(step, left), right);
    double x = w->x[i] * exp(step);
    extremum top = {x, relative_error(w, x, pow(x, w->power))};
    return fabs(top.value) >= fabs(w->values[i]) ? top : (extremum){w->x[i], w->values[i]};
}

static bool is_extremum(const fit *w, int i)
{
    if (i == 0 || i + 1 == w->points) {
        return true;
    }
    double sign = w->values[i] > 0.0 ? 1.0 : -1.0, here = sign * w->values[i];
    return here >= sign * w->values[i - 1] && here > sign * w->values[i + 1];
}

/* Adds the extremum; of neighbours with the same sign the larger stays. False if there is no room.
 */
static bool append(extremum *list, int *count, extremum one)
{
    extremum *last = list + *count - 1;
    if (*count > 0 && (last->value > 0.0) == (one.value > 0.0)) {
        *last = fabs(one.value) > fabs(last->value) ? one : *last;
        return true;
    }
    if (*count == MOST_UNKNOWNS) {
        return false;
    }
    list[(*count)++] = one;
    return true;
}

/* The extrema of the error with alternating signs. False if there are not as many as unknowns. */
static bool find_extrema(fit *w)
{
    extremum found[MOST_UNKNOWNS];
    int count = 0;
    for (int i = 0; i < w->points; i++) {
        w->values[i] = relative_error(w, w->x[i], w->scale[i]);
    }
    for (int i = 0; i < w->points; i++) {
        bool inside = i > 0 && i + 1 < w->points;
        if (is_extremum(w, i) &&
            !append(found, &count, inside ? refined(w, i) : (extremum){w->x[i], w->values[i]})) {
            return false;
        }
    }
    if (count == w->unknowns) {
        memcpy(w->extrema, found, sizeof found);
    }
    return count == w->unknowns;
}

/* The error where the last extrema were. */
static void look_again(fit *w)
{
    for (int i = 0; i < w->unknowns; i++) {
        double x = w->extrema[i].x;
        w->extrema[i].value = relative_error(w, x, pow(x, w->power));
    }
}

/* Largest over smallest magnitude of the extrema; the largest is what the fit's error is. */
static double unevenness(const fit *w)
{
    double least = INFINITY, most = 0.0;
    for (int i = 0; i < w->unknowns; i++) {
        least = fmin(least, fabs(w->extrema[i].value));
        most = fmax(most, fabs(w->extrema[i].value));
    }
    w->f->error = most;
    return most / least;
}

/* error(x_i) + its derivatives times the step = (-1)^i level, for the step and the level. */
static void set_equations(fit *w)
{
    const partial_fractions *f = w->f;
    int poles = f->poles;
    for (int i = 0; i < w->unknowns; i++) {
        double *row = w->matrix[i], x = w->extrema[i].x, scale = pow(x, w->power);
        for (int j = 0; j < poles; j++) {
            double term = scale * f->weights[j] / (x + f->shifts[j]);
            row[j] = term;
            row[poles + j] = -term * f->shifts[j] / (x + f->shifts[j]);
        }
        row[2 * poles] = scale * f->constant;
        row[2 * poles + 1] = i % 2 == 0 ? -1.0 : 1.0;
        row[w->unknowns] = -w->extrema[i].value;
    }
}

static void swap_rows(fit *w, int a, int b)
{
    for (int j = 0; j <= w->unknowns; j++) {
        double kept = w->matrix[a][j];
        w->matrix[a][j] = w->matrix[b][j];
        w->matrix[b][j] = kept;
    }
}

/* Gauss-Jordan elimination with the largest pivots of each column; the solution is the last column.
 */
static bool solve(fit *w)
{
    int n = w->unknowns;
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++) {
            pivot = fabs(w->matrix[i][k]) > fabs(w->matrix[pivot][k]) ? i : pivot;
        }
        swap_rows(w, k, pivot);
        if (!(fabs(w->matrix[k][k]) > 0.0)) {
            return false;
        }
        for (int i = 0; i < n; i++) {
            double factor = w->matrix[i][k] / w->matrix[k][k];
            for (int j = k; j <= n && i != k; j++) {
                w->matrix[i][j] -= factor * w->matrix[k][j];
            }
        }
        for (int j = n; j >= k; j--) {
            w->matrix[k][j] /= w->matrix[k][k];
        }
    }
    return true;
}

/* The Newton step, shortened as a whole if it is long. */
static void apply_step(fit *w)
{
    partial_fractions *f = w->f;
    double longest = 0.0;
    for (int i = 0; i <= 2 * f->poles; i++) {
        longest = fmax(longest, fabs(w->matrix[i][w->unknowns]));
    }
    double share = longest > LONGEST_STEP ? LONGEST_STEP / longest : 1.0;
    for (int j = 0; j < f->poles; j++) {
        f->weights[j] *= exp(share * w->matrix[j][w->unknowns]);
        f->shifts[j] *= exp(share * w->matrix[f->poles + j][w->unknowns]);
    }
    f->constant *= exp(share * w->matrix[2 * f->poles][w->unknowns]);
}

/* Zolotarev's function for x^(-1/2) becomes one for x^-p. */
static void move_to_power(double power, partial_fractions *f)
{
    static const double PI = 3.14159265358979323846;
    for (int j = 0; j < f->poles; j++) {
        f->weights[j] *= sin(PI * power) * pow(f->shifts[j], 0.5 - power);
    }
    /* The tail of the integral, c = sin(pi p) / (pi p) t^-p, begins at the same t. */
    double start = 2.0 / (PI * f->constant);
    f->constant = sin(PI * power) / (PI * power) * pow(start, 2.0 * power);
}

static plumb_status fit_power(double power, double lowest, int poles, partial_fractions *f)
{
    fit w = {.power = 0.5, .f = f, .unknowns = 2 * poles + 2};
    PROPAGATE(partial_fractions_zolotarev(sqrt(lowest), poles, f));
    choose_points(&w, lowest);
    bool found = find_extrema(&w);
    move_to_power(power, f);
    w.power = power;
    choose_points(&w, lowest);
    for (int i = 0; i < MOST_EXCHANGES && found; i++) {
        if (!find_extrema(&w)) {
            look_again(&w);
        } else if (unevenness(&w) < EVEN_ENOUGH + ROUNDING / f->error) {
            return PLUMB_OK;
        }
        set_equations(&w);
        if (!solve(&w)) {
            break;
        }
        apply_step(&w);
    }
    return error_raise(PLUMB_ERROR_NUMERICAL,
                       "no rational function with %d poles for x^-%g on [%g, 1] was found", poles,
                       power, lowest);
}

static plumb_status check_arguments(int root, double lowest)
{
    REQUIRE(root == 1 || root == 2 || root == 4, PLUMB_ERROR_ARGUMENT,
            "root is %d: it must be 1, 2 or 4", root);
    REQUIRE(lowest >= 1e-10 && lowest < 1.0, PLUMB_ERROR_ARGUMENT,
            "the lowest value is %g: it must be in [1e-10, 1)", lowest);
    return PLUMB_OK;
}

/* What x^(-1/4) needs can be told from what x^(-1/2) needs: its error is 0.62 to 0.82 of that. */
static double least_error(const partial_fractions *zolotarev)
{
    return 0.6 * zolotarev->error;
}

plumb_status partial_fractions_root(int root, double lowest, int poles, partial_fractions *f)
{
    PROPAGATE(check_arguments(root, lowest));
    PROPAGATE(partial_fractions_zolotarev(sqrt(lowest), poles, f));
    if (root == 1) {
        *f = (partial_fractions){.poles = 1, .weights = {1.0}};
        return PLUMB_OK;
    }
    if (root == 2) {
        return PLUMB_OK;
    }
    lowest = fmin(lowest, SHORTEST);
    PROPAGATE(partial_fractions_zolotarev(sqrt(lowest), poles, f));
    REQUIRE(least_error(f) >= LEAST_ERROR, PLUMB_ERROR_NUMERICAL,
            "%d poles are more than double precision can make use of on [%g, 1]", poles, lowest);
    return fit_power(1.0 / (double)root, lowest, poles, f);
}

static plumb_status fourth_root_within(double lowest, double error, partial_fractions *f)
{
    for (int poles = 1; poles <= PARTIAL_FRACTIONS_MOST; poles++) {
        PROPAGATE(partial_fractions_zolotarev(sqrt(lowest), poles, f));
        if (poles < PARTIAL_FRACTIONS_MOST && least_error(f) > error) {
            continue;
        }
        PROPAGATE(partial_fractions_root(4, lowest, poles, f));
        if (f->error <= error) {
            break;
        }
    }
    return PLUMB_OK;
}

plumb_status partial_fractions_root_within(int root, double lowest, double error,
                                           partial_fractions *f)
{
    PROPAGATE(check_arguments(root, lowest));
    REQUIRE(error >= 1e-9, PLUMB_ERROR_ARGUMENT, "the error is %g: it must be at least 1e-9",
            error);
    switch (root) {
    case 1:
        return partial_fractions_root(1, lowest, 1, f);
    case 2:
        return partial_fractions_zolotarev_within(sqrt(lowest), error, f);
    default:
        return fourth_root_within(fmin(lowest, SHORTEST), error, f);
    }
}
