/*
 * Known gradients and their noise; see claims_problem.h.
 */
#include "app/claims_problem.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* Orthonormal columns: discrete cosine transforms. */
static double basis(int size, int row, int col)
{
    double scale = col == 0 ? sqrt(1.0 / size) : sqrt(2.0 / size);
    return scale * cos(pi * (row + 0.5) * col / size);
}

double claims_dot(int count, const double *x, const double *y)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++) {
        sum += x[i] * y[i];
    }
    return sum;
}

double claims_norm(int count, const double *x)
{
    return sqrt(claims_dot(count, x, x));
}

/* size x size: a diagonal that falls from 1.5 to 0.5 and half a shift to the next index, scaled so
 * that entries have the mean square `level`^2; or level times the identity. */
static void fill_mix(int size, double level, claims_noise noise, double *mix)
{
    double squares = 0.0;
    memset(mix, 0, (size_t)(size * size) * sizeof *mix);
    for (int i = 0; i < size; i++) {
        bool plain = noise == CLAIMS_ISOTROPIC || size == 1;
        mix[i * size + i] = plain ? 1.0 : 1.5 - i / (size - 1.0);
        mix[i * size + (i + 1) % size] += plain ? 0.0 : 0.5;
    }
    for (int i = 0; i < size * size; i++) {
        squares += mix[i] * mix[i] / size;
    }
    for (int i = 0; i < size * size; i++) {
        mix[i] *= level / sqrt(squares);
    }
}

void claims_problem_create(claims_problem *p, int rows, int cols, const double *singular,
                           double level, claims_noise noise)
{
    *p = (claims_problem){
        .rows = rows, .cols = cols, .count = rows * cols, .noise = noise, .level = level};
    memcpy(p->singular, singular, (size_t)cols * sizeof *singular);
    for (int i = 0; i < rows; i++) {
        for (int k = 0; k < cols; k++) {
            /* The first cosine is constant: for a vector the second, which has both signs. */
            p->u[i * cols + k] = basis(rows, i, cols == 1 ? 1 : k);
        }
    }
    for (int j = 0; j < cols; j++) {
        for (int k = 0; k < cols; k++) {
            p->v[j * cols + k] = basis(cols, j, k);
        }
    }
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            for (int k = 0; k < cols; k++) {
                double outer = p->u[i * cols + k] * p->v[j * cols + k];
                p->gradient[i * cols + j] += singular[k] * outer;
                p->polar[i * cols + j] += outer;
            }
        }
    }
    fill_mix(rows, level, noise, p->row_mix);
    fill_mix(cols, 1.0, noise, p->col_mix);
}

/* noise = L normals R. */
static void mix(const claims_problem *p, const double *normals, double *noise)
{
    double half[PROBLEM_MOST];
    for (int i = 0; i < p->rows; i++) {
        for (int j = 0; j < p->cols; j++) {
            double sum = 0.0;
            for (int k = 0; k < p->rows; k++) {
                sum += p->row_mix[i * p->rows + k] * normals[k * p->cols + j];
            }
            half[i * p->cols + j] = sum;
        }
    }
    for (int i = 0; i < p->rows; i++) {
        for (int j = 0; j < p->cols; j++) {
            double sum = 0.0;
            for (int k = 0; k < p->cols; k++) {
                sum += half[i * p->cols + k] * p->col_mix[k * p->cols + j];
            }
            noise[i * p->cols + j] = sum;
        }
    }
}

void claims_problem_noise(const claims_problem *p, claims_key key, double *noise)
{
    double normals[PROBLEM_MOST];
    claims_normals(key, p->count, normals);
    if (p->noise != CLAIMS_ISOTROPIC) {
        mix(p, normals, noise);
        return;
    }
    for (int i = 0; i < p->count; i++) {
        noise[i] = p->level * normals[i];
    }
}

/* Of two groups G + noise and G - noise the library's expansion about their mean G is this term. */
int claims_problem_second(const claims_problem *p, const double *noise, double *term, failure *f)
{
    float plus[PROBLEM_MOST], minus[PROBLEM_MOST];
    const float *groups[] = {plus, minus};
    double squares, tangent;
    for (int i = 0; i < p->count; i++) {
        plus[i] = (float)(p->gradient[i] + noise[i]);
        minus[i] = (float)(p->gradient[i] - noise[i]);
    }
    return failure_from_library(
        f, plumb_polar_bias(p->rows, p->cols, 2, groups, term, &squares, &tangent), NULL);
}

int claims_problem_bias(const claims_problem *p, double *bias, failure *f)
{
    memset(bias, 0, (size_t)p->count * sizeof *bias);
    for (int i = 0; i < p->count && f->code == EXIT_OK; i++) {
        double unit[PROBLEM_MOST] = {0}, noise[PROBLEM_MOST], term[PROBLEM_MOST] = {0};
        unit[i] = 1.0;
        mix(p, unit, noise);
        claims_problem_second(p, noise, term, f);
        for (int e = 0; e < p->count; e++) {
            bias[e] += term[e];
        }
    }
    return f->code;
}

void claims_problem_tangent(const claims_problem *p, const double *x, double *tangent)
{
    double inner[PROBLEM_MOST_COLS * PROBLEM_MOST_COLS]; /* Q' x, symmetric part */
    int cols = p->cols;
    for (int i = 0; i < cols; i++) {
        for (int j = 0; j < cols; j++) {
            inner[i * cols + j] = 0.0;
            for (int k = 0; k < p->rows; k++) {
                inner[i * cols + j] += 0.5 * (p->polar[k * cols + i] * x[k * cols + j] +
                                              x[k * cols + i] * p->polar[k * cols + j]);
            }
        }
    }
    for (int i = 0; i < p->rows; i++) {
        for (int j = 0; j < cols; j++) {
            double normal = 0.0;
            for (int k = 0; k < cols; k++) {
                normal += p->polar[i * cols + k] * inner[k * cols + j];
            }
            tangent[i * cols + j] = x[i * cols + j] - normal;
        }
    }
}
