/*
 * What there is to find in the groups' means of one parameter, at its owner (diagnostics.h). What
 * cannot be computed is NAN; only a lack of memory is a failure.
 */
#include "step/diagnostics.h"

#include <math.h>
#include <string.h>

#include "diagnose/echo_spectrum.h"
#include "diagnose/nuclear_noise.h"

/* Relative to the largest singular value: directions below are rounding, and left out. */
static const double rank_tolerance = 1e-6;

/* One measurement went wrong: remembered, unless for want of memory. */
static plumb_status take(plumb_status status, double *record)
{
    if (status != PLUMB_OK && record[RECORD_STATUS] == (double)PLUMB_OK) {
        record[RECORD_STATUS] = (double)status;
    }
    return status == PLUMB_ERROR_MEMORY ? status : PLUMB_OK;
}

static bool equal_samples(const diagnostics *d)
{
    for (int g = 1; g < d->groups; g++) {
        if (d->group_samples[g] != d->group_samples[0]) {
            return false;
        }
    }
    return true;
}

/* The lower triangle by rows. */
static void fold(int64_t count, const double *gram, double *triangle)
{
    for (int64_t i = 0; i < count; i++) {
        memcpy(triangle, gram + i * count, (size_t)(i + 1) * sizeof *triangle);
        triangle += i + 1;
    }
}

static plumb_status measure_gram(const diagnostics *d, const parameter *one, double *record)
{
    int64_t count = d->groups;
    double *gram = d->findings.gram;
    memset(gram, 0, (size_t)(count * count) * sizeof *gram);
    plumb_status status = plumb_gram(count, one->rows * one->cols, d->findings.means, gram);
    for (int64_t i = 0; status != PLUMB_OK && i < count * count; i++) {
        gram[i] = NAN;
    }
    fold(count, gram, record + RECORD_SIZE);
    PROPAGATE(take(status, record));
    if (status != PLUMB_OK || count < 2) {
        return PLUMB_OK;
    }
    double reduced = NAN;
    status = plumb_covariance_spectrum(count, d->group_samples, gram, 1, NULL, &reduced, NULL);
    record[RECORD_EIGENVALUE] = status == PLUMB_OK ? reduced : NAN;
    return take(status, record);
}

static void pack_update(const plumb_update_noise *update, double *numbers)
{
    const double packed[UPDATE_NUMBERS] = {
        update->variance,     update->variance_error, update->bias,          update->bias_error,
        update->normal_share, update->step_bias,      update->step_variance, update->ratio,
        update->ratio_error,  update->streamed_ratio};
    memcpy(numbers, packed, sizeof packed);
}

static plumb_status measure_update(const diagnostics *d, const parameter *one, double *record)
{
    const plumb_polar_options options = {.size = sizeof options, .rank_tolerance = rank_tolerance};
    const float *const *means = d->findings.means;
    plumb_update_noise update = diagnostics_no_update();
    plumb_status status = plumb_update_bias(PLUMB_POLAR_EXACT, one->rows, one->cols, d->groups,
                                            means, &options, &update);
    if (status == PLUMB_ERROR_NUMERICAL) {
        status = plumb_update_bias(PLUMB_POLAR_SVD, one->rows, one->cols, d->groups, means,
                                   &options, &update);
    }
    if (status == PLUMB_OK) {
        pack_update(&update, record + RECORD_UPDATE);
    }
    return take(status, record);
}

static plumb_status measure_nuclear(const diagnostics *d, const parameter *one,
                                    const nuclear_signal *known, double *record)
{
    double scale = NAN;
    double error = NAN;
    plumb_status status = nuclear_noise_scale(one->rows, one->cols, d->groups, d->group_samples,
                                              d->findings.means, known, &scale, &error);
    record[RECORD_NUCLEAR] = status == PLUMB_OK ? scale : NAN;
    return take(status, record);
}

/* The nuclear scale needs the same leave-one-out directions as the echo: most of its work. */
static plumb_status measure_echo(const diagnostics *d, const parameter *one, double *record,
                                 double *spectra)
{
    echo_spectrum s;
    plumb_status status =
        echo_spectrum_create(one->rows, one->cols, d->groups, d->findings.means, NULL, &s);
    if (status != PLUMB_OK) {
        PROPAGATE(take(status, record));
        return measure_nuclear(d, one, NULL, record);
    }
    nuclear_signal known = {.gains = s.gains};
    int64_t side = s.groups.side;
    for (int64_t i = 0; i < side; i++) {
        spectra[i] = s.svd.values[i];
        spectra[side + i] = s.signals[i];
        spectra[2 * side + i] = s.echoes[i];
        known.mean_norm += s.svd.values[i];
    }
    status = measure_nuclear(d, one, &known, record);
    echo_spectrum_free(&s);
    return status;
}

plumb_status diagnostics_measure_parameter(const plumb *p, const parameter *one, double *record)
{
    const diagnostics *d = p->diagnostics;
    int64_t count = d->groups;
    int64_t side = diagnostics_decomposes(one) ? one->rows < one->cols ? one->rows : one->cols : 0;
    double *spectra = record + RECORD_SIZE + count * (count + 1) / 2;
    record[RECORD_STATUS] = PLUMB_OK;
    for (int i = RECORD_STATUS + 1; i < RECORD_SIZE; i++) {
        record[i] = NAN;
    }
    for (int64_t i = 0; i < DIAGNOSTICS_SPECTRA * side; i++) {
        spectra[i] = NAN;
    }
    PROPAGATE(measure_gram(d, one, record));
    if (side == 0 || count < 2) {
        return PLUMB_OK;
    }
    if (!equal_samples(d)) {
        return measure_nuclear(d, one, NULL, record);
    }
    PROPAGATE(measure_update(d, one, record));
    return measure_echo(d, one, record, spectra);
}
