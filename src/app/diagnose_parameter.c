/*
 * One parameter in one step: its micro-batches are read, checked and merged to groups, whole where
 * they fit into memory and in stretches where not; the Gram matrix adds up over either, with the
 * same bits.
 */
#include "app/diagnosing.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* Where in the file a stretch is. */
typedef struct stretch {
    int index; /* of the parameter, in the selection */
    int64_t step;
    int64_t first, count; /* elements */
} stretch;

static void refuse_nonfinite(diagnosing *d, const stretch *s, int64_t micro_batch, int64_t element)
{
    const recorded_parameter *p = diagnosing_parameter(d, s->index);
    failure_set(&d->failure, EXIT_NONFINITE,
                "%s, step %" PRId64 ": the gradient of %s in micro-batch %" PRId64
                " holds NaN or Inf, first in row %" PRId64 ", column %" PRId64,
                d->options->gradients, s->step + 1, p->name, micro_batch, element / p->cols,
                element % p->cols);
}

static bool read_micro_batch(diagnosing *d, const stretch *s, int64_t micro_batch, float *gradient)
{
    shared_error e = {0, ""};
    gradient_file_read_stretch(d->recorded, d->selected[s->index], s->step, micro_batch, s->first,
                               s->count, gradient, &e);
    if (e.kind != SHARED_OK) {
        failure_set(&d->failure, e.kind == SHARED_FILE ? EXIT_DATA : EXIT_LIBRARY, "%s", e.message);
    }
    for (int64_t i = 0; i < s->count && d->failure.code == EXIT_OK; i++) {
        if (!isfinite(gradient[i])) {
            refuse_nonfinite(d, s, micro_batch, s->first + i);
        }
    }
    return d->failure.code == EXIT_OK;
}

/* The mean over the micro-batches of a group, weighted by their samples. */
static bool read_group(diagnosing *d, const stretch *s, int64_t group, float *gradient)
{
    const double *samples = gradient_file_samples(d->recorded);
    int64_t members = d->micro_batches / d->groups;
    int64_t first = group * members;
    if (members == 1) {
        return read_micro_batch(d, s, first, gradient);
    }
    for (int64_t i = 0; i < s->count; i++) {
        d->sums[i] = 0.0;
    }
    for (int64_t k = first; k < first + members; k++) {
        double weight = samples[k] / d->samples[group];
        if (!read_micro_batch(d, s, k, d->stretch)) {
            return false;
        }
        for (int64_t i = 0; i < s->count; i++) {
            d->sums[i] += weight * (double)d->stretch[i];
        }
    }
    for (int64_t i = 0; i < s->count; i++) {
        gradient[i] = (float)d->sums[i];
    }
    return true;
}

static int64_t elements_of(const recorded_parameter *p)
{
    return p->rows * p->cols;
}

/* All groups equal to the bit. */
static bool constant(const float *const *groups, int64_t count, int64_t elements)
{
    for (int64_t g = 1; g < count; g++) {
        for (int64_t i = 0; i < elements; i++) {
            if (groups[g][i] != groups[0][i]) {
                return false;
            }
        }
    }
    return true;
}

/* Reads all groups stretch by stretch and adds to the Gram matrix; with `whole` the groups are
 * all in memory afterwards. */
static bool read_groups(diagnosing *d, stretch s, bool whole, finding *f)
{
    int64_t elements = elements_of(diagnosing_parameter(d, s.index));
    int64_t room = d->memory_elements / d->groups / GRAM_BLOCK * GRAM_BLOCK;
    int64_t longest = whole || room > STRETCH_ELEMENTS ? STRETCH_ELEMENTS : room;
    int64_t apart = whole ? elements : longest; /* of one group from the next */
    bool same = d->groups > 1;
    const float *groups[MOST_GROUPS];
    for (s.first = 0; s.first < elements; s.first += longest) {
        s.count = elements - s.first < longest ? elements - s.first : longest;
        for (int64_t g = 0; g < d->groups; g++) {
            float *place = d->memory + g * apart + (whole ? s.first : 0);
            groups[g] = place;
            if (!read_group(d, &s, g, place)) {
                return false;
            }
        }
        plumb_status status = plumb_gram(d->groups, s.count, groups, f->gram);
        if (failure_from_library(&d->failure, status, NULL) != EXIT_OK) {
            return false;
        }
        same = same && constant(groups, d->groups, s.count);
    }
    if (same && f->gram[0] > 0.0) {
        finding_add_reason(f, REASON_CONSTANT);
    }
    return true;
}

void diagnose_gram(diagnosing *d, finding *f)
{
    double squares = 0.0;
    plumb_noise noise = {.size = sizeof noise};
    double population = d->options->population;
    plumb_status status = plumb_noise_scale(d->groups, d->samples, f->gram, population, &noise);
    if (failure_from_library(&d->failure, status, NULL) != EXIT_OK) {
        return;
    }
    if (isnan(noise.signal_error)) {
        noise.scale = NAN; /* of two gradients: nobody knows how far off it is */
        noise.scale_error = NAN;
    }
    if (isnan(noise.scale)) {
        noise.plateau = NAN;
    }
    finding_set_noise(f, &noise);
    for (int64_t g = 0; g < d->groups; g++) {
        squares += f->gram[g * d->groups + g];
    }
    if (squares == 0.0) {
        finding_add_reason(f, REASON_ZERO);
    }
    if (d->groups < 2) {
        finding_add_reason(f, REASON_ONE_GROUP);
        return;
    }
    if (squares > 0.0 && !isfinite(noise.scale)) {
        finding_add_reason(f, REASON_UNDETERMINED);
    }
    finding_set_norm_test(d, f, &noise);
    status = plumb_covariance_spectrum(d->groups, d->samples, f->gram, f->eigenvalue_count,
                                       f->eigenvalues, f->reduced, NULL);
    failure_from_library(&d->failure, status, NULL);
    if (f->eigenvalue_count > 0 && noise.trace > 0.0) {
        f->values[EIGENVALUE_SHARE] = f->reduced[0] / noise.trace;
    }
}

void diagnose_parameter(diagnosing *d, int index, int64_t step, finding *f)
{
    const recorded_parameter *p = diagnosing_parameter(d, index);
    bool whole = diagnosing_fits(d, index);
    bool vector = p->rows == 1 || p->cols == 1;
    int64_t shorter = p->rows < p->cols ? p->rows : p->cols;
    if (!read_groups(d, (stretch){.index = index, .step = step}, whole, f)) {
        return;
    }
    diagnose_gram(d, f);
    if (vector) {
        finding_add_reason(f, REASON_VECTOR);
    } else if (!whole || shorter > LONGEST_SHORT_SIDE) {
        finding_add_reason(f, REASON_LARGE);
    }
    if (d->failure.code != EXIT_OK || !whole || d->groups < 2 || finding_has(f, REASON_ZERO)) {
        return;
    }
    const float *groups[MOST_GROUPS];
    for (int64_t g = 0; g < d->groups; g++) {
        groups[g] = d->memory + g * elements_of(p);
    }
    if (!vector && shorter <= LONGEST_SHORT_SIDE) {
        diagnose_matrix(d, p, groups, f);
    }
}
