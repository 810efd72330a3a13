/*
 * Triple loops and one-sided Jacobi rotations (see reference_linalg.h).
 */
#include "support/reference_linalg.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "support/test.h"

static void *have(size_t count, size_t size)
{
    void *block = calloc(count, size);
    if (block == NULL) {
        fputs("a test found no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    return block;
}

double *reference_doubles(int64_t count)
{
    return have((size_t)count, sizeof(double));
}

float *reference_floats(int64_t count)
{
    return have((size_t)count, sizeof(float));
}

static double dot(int length, const double *a, const double *b)
{
    double sum = 0.0;
    for (int i = 0; i < length; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

static void rotate(int length, double *a, double *b, double cosine, double sine)
{
    for (int i = 0; i < length; i++) {
        double old = a[i];
        a[i] = cosine * old - sine * b[i];
        b[i] = sine * old + cosine * b[i];
    }
}

/* Makes a pair of rows of `work` orthogonal; true if they were not. */
static bool orthogonalise_pair(int length, int side, double *work, double *vectors, int p, int q,
                               double negligible)
{
    double *a = work + (int64_t)p * length;
    double *b = work + (int64_t)q * length;
    double alpha = dot(length, a, a);
    double beta = dot(length, b, b);
    double gamma = dot(length, a, b);
    if (fabs(gamma) <= 1e-15 * sqrt(alpha * beta) || fabs(gamma) <= negligible) {
        return false;
    }
    double zeta = (beta - alpha) / (2.0 * gamma);
    double tangent = copysign(1.0, zeta) / (fabs(zeta) + sqrt(1.0 + zeta * zeta));
    double cosine = 1.0 / sqrt(1.0 + tangent * tangent);
    rotate(length, a, b, cosine, cosine * tangent);
    rotate(side, vectors + (int64_t)p * side, vectors + (int64_t)q * side, cosine,
           cosine * tangent);
    return true;
}

/* work: side x length, its rows become s_j u_j'; vectors: side x side, its rows become v_j' */
static void jacobi(int length, int side, double *work, double *vectors)
{
    double negligible = 1e-34 * dot(length * side, work, work);
    for (int i = 0; i < side; i++) {
        vectors[(int64_t)i * side + i] = 1.0;
    }
    bool rotated = true;
    for (int sweep = 0; sweep < 60 && rotated; sweep++) {
        rotated = false;
        for (int p = 0; p < side; p++) {
            for (int q = p + 1; q < side; q++) {
                rotated |= orthogonalise_pair(length, side, work, vectors, p, q, negligible);
            }
        }
    }
}

/* Hands the rows of `work` and `vectors` out as columns: `longer` is length x side. */
static void hand_out(int length, int side, const double *work, const double *vectors,
                     double *longer, double *values, double *shorter)
{
    for (int j = 0; j < side; j++) {
        const double *row = work + (int64_t)j * length;
        values[j] = sqrt(dot(length, row, row));
        for (int i = 0; i < length; i++) {
            longer[(int64_t)i * side + j] = values[j] > 0.0 ? row[i] / values[j] : 0.0;
        }
        for (int i = 0; i < side; i++) {
            shorter[(int64_t)i * side + j] = vectors[(int64_t)j * side + i];
        }
    }
}

reference_svd reference_svd_compute(int rows, int cols, const float *matrix)
{
    bool tall = rows >= cols;
    int side = tall ? cols : rows;
    int length = tall ? rows : cols;
    reference_svd svd = {.rows = rows, .cols = cols, .side = side};
    svd.left = reference_doubles((int64_t)rows * side);
    svd.right = reference_doubles((int64_t)cols * side);
    svd.values = reference_doubles(side);
    double *work = reference_doubles((int64_t)length * side);
    double *vectors = reference_doubles((int64_t)side * side);
    for (int j = 0; j < side; j++) {
        for (int i = 0; i < length; i++) {
            int64_t element = tall ? (int64_t)i * cols + j : (int64_t)j * cols + i;
            work[(int64_t)j * length + i] = (double)matrix[element];
        }
    }
    jacobi(length, side, work, vectors);
    hand_out(length, side, work, vectors, tall ? svd.left : svd.right, svd.values,
             tall ? svd.right : svd.left);
    free(work);
    free(vectors);
    return svd;
}

void reference_svd_free(reference_svd *svd)
{
    free(svd->left);
    free(svd->values);
    free(svd->right);
}

double reference_svd_largest(const reference_svd *svd)
{
    double largest = 0.0;
    for (int j = 0; j < svd->side; j++) {
        largest = fmax(largest, svd->values[j]);
    }
    return largest;
}

double reference_svd_norm(const reference_svd *svd)
{
    return sqrt(dot(svd->side, svd->values, svd->values));
}

void reference_svd_rebuild(const reference_svd *svd, const double *mapped, double *result)
{
    for (int i = 0; i < svd->rows; i++) {
        for (int j = 0; j < svd->cols; j++) {
            double sum = 0.0;
            for (int k = 0; k < svd->side; k++) {
                sum += svd->left[(int64_t)i * svd->side + k] * mapped[k] *
                       svd->right[(int64_t)j * svd->side + k];
            }
            result[(int64_t)i * svd->cols + j] = sum;
        }
    }
}

/* `count` orthonormal vectors of `length`, one a row, by Gram-Schmidt done twice. */
static double *orthonormal_rows(int count, int length, uint64_t seed)
{
    double *rows = reference_doubles((int64_t)count * length);
    for (int i = 0; i < count; i++) {
        double *row = rows + (int64_t)i * length;
        for (int k = 0; k < length; k++) {
            row[k] = (double)test_value(seed, (uint64_t)i, (uint64_t)k);
        }
        for (int pass = 0; pass < 2; pass++) {
            for (int j = 0; j < i; j++) {
                double overlap = dot(length, row, rows + (int64_t)j * length);
                for (int k = 0; k < length; k++) {
                    row[k] -= overlap * rows[(int64_t)j * length + k];
                }
            }
        }
        double norm = sqrt(dot(length, row, row));
        for (int k = 0; k < length; k++) {
            row[k] /= norm;
        }
    }
    return rows;
}

void reference_matrix(int rows, int cols, const double *values, uint64_t seed, float *matrix)
{
    int side = rows < cols ? rows : cols;
    double *left = orthonormal_rows(side, rows, seed);
    double *right = orthonormal_rows(side, cols, seed + 1);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            double sum = 0.0;
            for (int k = 0; k < side; k++) {
                sum += left[(int64_t)k * rows + i] * values[k] * right[(int64_t)k * cols + j];
            }
            matrix[(int64_t)i * cols + j] = (float)sum;
        }
    }
    free(left);
    free(right);
}

double reference_distance(int64_t count, const float *a, const double *b)
{
    double largest = 0.0;
    for (int64_t i = 0; i < count; i++) {
        double distance = fabs((double)a[i] - b[i]);
        if (isnan(distance)) {
            return INFINITY;
        }
        largest = fmax(largest, distance);
    }
    return largest;
}
