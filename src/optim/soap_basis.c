/*
 * Averages, eigenvectors and changes of basis (see soap_basis.h).
 *
 * A new basis comes from the averages before the step it first serves, so that it has not seen that
 * step's gradient. In the basis of its own outer products a gradient is diagonal, and what is left
 * elsewhere is rounding, which AdamW would bring to the size of everything else.
 *
 * An eigenvector may be had with either sign, and those of a new decomposition come in the order
 * of their eigenvalues. What AdamW keeps about a direction should stay with it: each new vector,
 * that of the largest eigenvalue first, takes the place of the old vector it is nearest to among
 * those left, with the sign that makes their product positive.
 */
#include "optim/soap_basis.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "optim/shampoo_decompose.h"

plumb_status soap_bases_create(const optimizer_input *input, soap_bases *s)
{
    *s = (soap_bases){.input = input,
                      .grid = blocks_of(input->options->block_size, input->rows, input->cols)};
    block largest = blocks_at(&s->grid, 0);
    int64_t m = largest.rows, n = largest.cols;
    int64_t side = m > n ? m : n;
    int64_t count = m * m + n * n + 3 * m * n + 2 * side * side;
    PROPAGATE(memory_allocate(count, sizeof *s->memory, &s->memory));
    s->change[PRODUCT_LEFT] = s->memory;
    s->change[PRODUCT_RIGHT] = s->change[PRODUCT_LEFT] + m * m;
    s->elements = s->change[PRODUCT_RIGHT] + n * n;
    s->product = s->elements + m * n;
    s->result = s->product + m * n;
    s->statistic = s->result + m * n;
    s->overlap = s->statistic + side * side;
    return PLUMB_OK;
}

void soap_bases_free(soap_bases *s)
{
    memory_free(&s->memory);
}

static const double *old_factor(const soap_bases *s, const block *b, int first, product_side side)
{
    return s->input->matrix_states[first + (int)side] + b->factor[side];
}

static double *new_factor(const soap_bases *s, const block *b, int first, product_side side)
{
    return s->input->new_matrix_states[first + (int)side] + b->factor[side];
}

static void set_identity(int64_t n, double *matrix)
{
    memset(matrix, 0, (size_t)(n * n) * sizeof *matrix);
    for (int64_t i = 0; i < n; i++) {
        matrix[i * n + i] = 1.0;
    }
}

static void follow(const soap_bases *s, const block *b, product_side side, int64_t n)
{
    double keep = s->input->options->beta2;
    double *average = new_factor(s, b, SOAP_AVERAGE, side);
    memcpy(average, old_factor(s, b, SOAP_AVERAGE, side), (size_t)(n * n) * sizeof *average);
    product_gram(side, b->rows, b->cols, 1.0 - keep, s->elements, keep, average);
}

/* The row of `overlap` (old vectors x new ones) with the largest magnitude in column j that is not
 * taken: where the diagonal of `taken` is not 0. */
static int64_t nearest_free(int64_t n, const double *overlap, int64_t j, const double *taken)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++) {
        bool better = best < 0 || fabs(overlap[i * n + j]) > fabs(overlap[best * n + j]);
        if (taken[i] == 0.0 && better) {
            best = i;
        }
    }
    return best;
}

/* Columns of `vectors` to their places in `basis`; `old` is the old basis. taken: n elements. */
static void arrange(int64_t n, const double *old, const double *vectors, double *overlap,
                    double *taken, double *basis)
{
    product_transposed(n, old, vectors, overlap);
    memset(taken, 0, (size_t)n * sizeof *taken);
    for (int64_t j = n - 1; j >= 0; j--) {
        int64_t place = nearest_free(n, overlap, j, taken);
        double sign = overlap[place * n + j] < 0.0 ? -1.0 : 1.0;
        taken[place] = 1.0;
        for (int64_t i = 0; i < n; i++) {
            basis[i * n + place] = sign * vectors[i * n + j];
        }
    }
}

static plumb_status decompose(soap_bases *s, const block *b, product_side side, const double *old,
                              double old_standing, double *standing)
{
    const plumb_parameter_options *options = s->input->options;
    int64_t n = product_length(side, b->rows, b->cols);
    double *basis = new_factor(s, b, SOAP_BASIS, side);
    /* Damping moves no eigenvector: as much as keeps all eigenvalues positive. */
    shampoo_factor factor = {0.0, 1.0, options->root_failures, b, side, old_standing, NULL};
    shampoo_outcome outcome = SHAMPOO_FAILED;
    matrix_root m;
    PROPAGATE(matrix_root_create(n, 1, &m));
    memcpy(s->statistic, old_factor(s, b, SOAP_AVERAGE, side), (size_t)(n * n) * sizeof(double));
    plumb_status status = shampoo_decompose(&factor, &m, s->statistic, standing, &outcome,
                                            &s->input->counts->roots_failed);
    if (status == PLUMB_OK && outcome == SHAMPOO_DECOMPOSED) {
        arrange(n, old, m.vectors, s->overlap, s->statistic, basis);
    } else if (status == PLUMB_OK && outcome == SHAMPOO_ZERO) {
        set_identity(n, basis);
    } else if (status == PLUMB_OK) {
        memcpy(basis, old, (size_t)(n * n) * sizeof *basis);
    }
    matrix_root_free(&m);
    return status;
}

/* Where there is no old basis, the change's own memory holds the identity for it. */
static plumb_status renew(soap_bases *s, const block *b, product_side side)
{
    int64_t n = product_length(side, b->rows, b->cols);
    int64_t place = 2 * b->number + (int64_t)side;
    double old_standing = s->input->matrix_states[SOAP_STANDING][place];
    double *standing = s->input->new_matrix_states[SOAP_STANDING] + place;
    double *basis = new_factor(s, b, SOAP_BASIS, side);
    const double *old = old_factor(s, b, SOAP_BASIS, side);
    bool due = (s->input->update - 2) % s->input->options->root_interval == 0;
    follow(s, b, side, n);
    if (!due && old_standing != shampoo_none_yet) {
        *standing = old_standing;
        memcpy(basis, old, (size_t)(n * n) * sizeof *basis);
        set_identity(n, s->change[side]);
        return PLUMB_OK;
    }
    s->changed = true;
    if (old_standing == shampoo_none_yet) {
        set_identity(n, s->change[side]);
        old = s->change[side];
    }
    PROPAGATE(decompose(s, b, side, old, old_standing, standing));
    product_transposed(n, basis, old, s->overlap);
    memcpy(s->change[side], s->overlap, (size_t)(n * n) * sizeof(double));
    return PLUMB_OK;
}

plumb_status soap_bases_renew(soap_bases *s, const block *b)
{
    s->changed = false;
    blocks_read(&s->grid, b, 1.0, s->input->gradient, s->elements);
    PROPAGATE(renew(s, b, PRODUCT_LEFT));
    return renew(s, b, PRODUCT_RIGHT);
}

void soap_bases_enter(const soap_bases *s, const block *b, const float *from, float *to)
{
    blocks_read(&s->grid, b, 1.0, from, s->elements);
    product_rotate(b->rows, b->cols, new_factor(s, b, SOAP_BASIS, PRODUCT_LEFT), s->elements,
                   new_factor(s, b, SOAP_BASIS, PRODUCT_RIGHT), s->product, s->result);
    blocks_write(&s->grid, b, s->result, to);
}

void soap_bases_leave(const soap_bases *s, const block *b, const float *from, float *to)
{
    blocks_read(&s->grid, b, 1.0, from, s->elements);
    product_rotate_back(b->rows, b->cols, new_factor(s, b, SOAP_BASIS, PRODUCT_LEFT), s->elements,
                        new_factor(s, b, SOAP_BASIS, PRODUCT_RIGHT), s->product, s->result);
    blocks_write(&s->grid, b, s->result, to);
}

void soap_bases_move(const soap_bases *s, const block *b, const float *from, float *to)
{
    blocks_read(&s->grid, b, 1.0, from, s->elements);
    if (!s->changed) {
        blocks_write(&s->grid, b, s->elements, to);
        return;
    }
    product_rotate_back(b->rows, b->cols, s->change[PRODUCT_LEFT], s->elements,
                        s->change[PRODUCT_RIGHT], s->product, s->result);
    blocks_write(&s->grid, b, s->result, to);
}
