/*
 * Diagnoses of a handle: the same bits for every rank count, owner map and way of messages; many
 * groups; gradients without noise and without size; what is not available, and wrong input.
 * ranks: 1 2 4
 */
#include <math.h>
#include <mpi.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/fault.h"
#include "linalg/spectrum.h"
#include "plumb.h"
#include "support/diagnosed_run.h"
#include "support/test.h"

/* The same bits as on one rank. */
static void expect_same_bits(diagnosed_setup s, const diagnosed_outcome *alone)
{
    diagnosed_outcome o;
    diagnosed_run_on_all(&s, &o);
    test_all(memcmp(&o, alone, sizeof o) == 0);
}

START_TEST(bits_do_not_depend_on_ranks)
{
    for (int kind = PLUMB_DIAGNOSTICS_ECONOMY; kind <= (int)PLUMB_DIAGNOSTICS_FULL; kind++) {
        diagnosed_outcome alone;
        diagnosed_setup s = diagnosed_setup_of((plumb_diagnostics)kind);
        s.unequal = kind == PLUMB_DIAGNOSTICS_ECONOMY;
        diagnosed_run_alone(s, &alone);
        expect_same_bits(s, &alone);
        s.options.owners = PLUMB_OWNERS_RANK0;
        expect_same_bits(s, &alone);
        fault.pretended_nodes = 2;
        expect_same_bits(s, &alone);
        fault.pretended_nodes = 0;
        s.options.bucket_elements = 0;
        s.options.shared_memory = 0;
        expect_same_bits(s, &alone);
        s.options.chunk_elements = 100;
        expect_same_bits(s, &alone);
        s.broken = 3;
        expect_same_bits(s, &alone);
    }
}
END_TEST

enum { TALL = 2120, BROAD = 500, ALL = 4 };

/* The noise in a matrix of two row panels. */
static plumb_noise noise_of_panels(MPI_Comm communicator, int spread)
{
    float *values = calloc((size_t)TALL * BROAD, sizeof *values);
    float *gradient = malloc((size_t)TALL * BROAD * sizeof *gradient);
    plumb *p = NULL;
    int id;
    int64_t first = 0, count = 0;
    plumb_diagnosis found = {.size = sizeof found};
    plumb_parameter_options muon;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_ECONOMY);
    s.options.spread_panels = spread;
    plumb_parameter_options_init(&muon, sizeof muon, PLUMB_OPTIMIZER_MUON);
    muon.polar = PLUMB_POLAR_FAST;
    bool good = plumb_create(communicator, &s.options, &p) == PLUMB_OK;
    good = good && plumb_add_parameter(p, "m", TALL, BROAD, values, &muon, &id) == PLUMB_OK;
    good = good && plumb_share(p, ALL, &first, &count) == PLUMB_OK;
    good = good && plumb_begin_step(p, ALL) == PLUMB_OK;
    for (int64_t k = first; k < first + count; k++) {
        for (uint64_t e = 0; e < TALL * BROAD; e++) {
            gradient[e] = test_value(5, (uint64_t)k, e) / 3.0f;
        }
        good = good && plumb_accumulate(p, id, k, gradient) == PLUMB_OK;
    }
    good = good && plumb_end_step(p, 0.02, NULL) == PLUMB_OK;
    good = good && plumb_diagnose(p, id, &found) == PLUMB_OK;
    plumb_destroy(&p);
    free(values);
    free(gradient);
    test_all(good);
    return found.noise;
}

START_TEST(row_panels)
{
    plumb_noise alone = noise_of_panels(MPI_COMM_SELF, 1);
    for (int spread = 0; spread < 2; spread++) {
        plumb_noise noise = noise_of_panels(MPI_COMM_WORLD, spread);
        test_all(memcmp(&noise, &alone, sizeof noise) == 0);
    }
    test_all(alone.trace > 0.0 && alone.count == ALL);
}
END_TEST

/* Many groups are taken together. */
START_TEST(many_groups)
{
    diagnosed_outcome o;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.total = 72;
    s.options.groups = 72;
    s.steps = 1;
    diagnosed_run_on_all(&s, &o);
    test_all(o.found[0].groups.count == 24 && o.found[0].update.count == 24);
    test_all(o.found[DIAGNOSED_PARAMETERS].noise.count == 72);
    double difference = o.found[1].groups.trace - o.found[1].noise.trace;
    test_all(fabs(difference) < 0.1 * o.found[1].noise.trace);
}
END_TEST

/* No noise: no scale, no bias, and every direction is all signal. */
START_TEST(constant_gradients)
{
    diagnosed_outcome o;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.noise = DIAGNOSED_CONSTANT;
    diagnosed_run_on_all(&s, &o);
    for (int i = 0; i <= DIAGNOSED_PARAMETERS; i++) {
        const plumb_diagnosis *found = &o.found[i];
        test_all(found->groups.trace == 0.0 && found->groups.scale == 0.0);
        test_all(fabs(found->noise.trace) < 1e-5 * found->noise.signal);
        test_all(found->noise.plateau > 0.99999 && found->eigenvalue == 0.0);
        test_all(isnan(found->eigenvalue_share));
        bool matrix = i % 2 == 0 || i == DIAGNOSED_PARAMETERS;
        test_all(!matrix || (found->update.variance < 1e-10 && fabs(found->update.bias) < 1e-10));
        test_all(!matrix || (found->nuclear_scale < 1e-10 && found->echo > 1.0 - 1e-6));
        test_all(!matrix || found->directions == found->directions_of);
    }
    test_all(o.found[DIAGNOSED_PARAMETERS].directions_of == DIAGNOSED_SIDES);
}
END_TEST

START_TEST(zero_gradients)
{
    diagnosed_outcome o;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.noise = DIAGNOSED_ZERO;
    diagnosed_run_on_all(&s, &o);
    for (int i = 0; i <= DIAGNOSED_PARAMETERS; i++) {
        const plumb_diagnosis *found = &o.found[i];
        test_all(found->groups.squared_norm == 0.0 && found->noise.squared_norm == 0.0);
        test_all(isnan(found->groups.scale) && isnan(found->noise.scale));
        test_all(isnan(found->noise.plateau) && isnan(found->eigenvalue_share));
        test_all(isnan(found->nuclear_scale) && isnan(found->update.ratio));
        test_all(isnan(found->echo) && found->directions_of == 0);
    }
    test_all(s.lines == 0);
}
END_TEST

/* A sample of more than the population is no sample: not available, said once, and no failure. */
START_TEST(what_cannot_be_measured_is_said_once)
{
    diagnosed_outcome o;
    int rank;
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    s.options.population = 3.0;
    diagnosed_run_on_all(&s, &o);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    test_all(rank != 0 || (s.lines == 1 && strstr(s.log, "not available") != NULL));
    test_all(isnan(o.found[0].noise.trace) && isnan(o.found[DIAGNOSED_PARAMETERS].groups.trace));
    test_all(o.found[0].update.variance > 0.0);
}
END_TEST

/* Eigenvalue problems fail so many times. */
static diagnosed_setup run_with_failures(int failures, diagnosed_outcome *o)
{
    diagnosed_setup s = diagnosed_setup_of(PLUMB_DIAGNOSTICS_FULL);
    spectrum_faults = failures;
    diagnosed_run_on_all(&s, o);
    spectrum_faults = 0;
    return s;
}

/* No eigenvalues, and no echoes; the rest is there, and the values are those of any run. */
START_TEST(decompositions_that_fail)
{
    diagnosed_outcome o;
    diagnosed_outcome good;
    int rank;
    run_with_failures(0, &good);
    diagnosed_setup s = run_with_failures(1 << 20, &o);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    test_all(rank != 0 || (s.lines == 1 && strstr(s.log, "numerical") != NULL));
    test_all(strcmp(o.hash, good.hash) == 0);
    for (int i = 0; i <= DIAGNOSED_PARAMETERS; i++) {
        const plumb_diagnosis *found = &o.found[i];
        bool matrix = i % 2 == 0 || i == DIAGNOSED_PARAMETERS;
        test_all(isnan(found->eigenvalue) && isnan(found->echo) && found->directions_of == 0);
        test_all(found->groups.trace == good.found[i].groups.trace);
        test_all(!matrix || found->update.variance == good.found[i].update.variance);
        double difference = found->nuclear_scale - good.found[i].nuclear_scale;
        test_all(!matrix || fabs(difference) < 1e-5 * found->nuclear_scale);
    }
    test_all(isnan(o.spectra[0][0][0]) && good.spectra[0][0][0] > 0.0);
}
END_TEST

static plumb *made(plumb_diagnostics kind, int rank_with_other_options, float *values)
{
    int rank;
    plumb *p = NULL;
    diagnosed_setup s = diagnosed_setup_of(kind);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    s.options.diagnostics_every += rank == rank_with_other_options;
    plumb_create(MPI_COMM_WORLD, &s.options, &p);
    int id;
    plumb_add_parameter(p, "one", 4, 4, values, NULL, &id);
    return p;
}

START_TEST(refusals)
{
    float values[16] = {0};
    double number;
    int64_t count;
    plumb_diagnosis d = {.size = sizeof d};
    plumb *p = made(PLUMB_DIAGNOSTICS_OFF, -1, values);
    test_all(plumb_diagnose(p, 0, &d) == PLUMB_ERROR_ORDER);
    test_all(plumb_diagnose_spectrum(p, 0, 1, &number, NULL, NULL, &count) == PLUMB_ERROR_ORDER);
    plumb_destroy(&p);
    p = made(PLUMB_DIAGNOSTICS_FULL, -1, values);
    test_all(plumb_diagnose(p, 0, &d) == PLUMB_OK && d.step == 0 && isnan(d.noise.samples));
    test_all(plumb_diagnose(p, -1, &d) == PLUMB_OK && d.full_step == 0 && isnan(d.echo));
    test_all(isnan(d.noise.small_squared_norm) && isnan(d.groups.squared_norm));
    test_all(d.update.count == 0 && isnan(d.update.variance) && isnan(d.update.streamed_ratio));
    test_all(plumb_diagnose(p, 1, &d) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose(p, -2, &d) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose(p, 0, NULL) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose_spectrum(p, 0, 0, NULL, NULL, NULL, &count) == PLUMB_OK && count == 0);
    test_all(plumb_diagnose_spectrum(p, -1, 0, NULL, NULL, NULL, &count) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose_spectrum(p, 0, -1, NULL, NULL, NULL, &count) == PLUMB_ERROR_ARGUMENT);
    test_all(plumb_diagnose_spectrum(p, 0, 0, NULL, NULL, NULL, NULL) == PLUMB_ERROR_ARGUMENT);
    d.size = 1;
    test_all(plumb_diagnose(p, 0, &d) == PLUMB_ERROR_ARGUMENT);
    plumb_destroy(&p);
}
END_TEST

/* Gradients of a diagnosed step are under way, and one rank has given none. */
START_TEST(destroyed_in_an_open_step)
{
    float values[16] = {0};
    int rank;
    int64_t first;
    int64_t count;
    int64_t allocations = -1;
    plumb *p = made(PLUMB_DIAGNOSTICS_FULL, -1, values);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    test_all(plumb_share(p, DIAGNOSED_TOTAL, &first, &count) == PLUMB_OK);
    test_all(plumb_begin_step(p, DIAGNOSED_TOTAL) == PLUMB_OK);
    for (int64_t k = first; rank > 0 && k < first + count; k++) {
        plumb_accumulate(p, 0, k, values);
    }
    plumb_destroy(&p);
    plumb_memory_in_use(&allocations, NULL);
    test_all(allocations == 0);
}
END_TEST

START_TEST(options_that_differ)
{
    float values[16] = {0};
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    plumb *p = made(PLUMB_DIAGNOSTICS_FULL, size - 1, values);
    plumb_status status = plumb_begin_step(p, DIAGNOSED_TOTAL);
    test_all(status == (size > 1 ? PLUMB_ERROR_MISMATCH : PLUMB_OK));
    test_all(size == 1 || strstr(plumb_error_message(p), "diagnostics_every") != NULL);
    plumb_destroy(&p);
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("limits of a handle's diagnoses");
    test_add(suite, "bits", bits_do_not_depend_on_ranks);
    test_add(suite, "many groups", many_groups);
    test_add(suite, "panels", row_panels);
    test_add(suite, "constant", constant_gradients);
    test_add(suite, "zero", zero_gradients);
    test_add(suite, "not available", what_cannot_be_measured_is_said_once);
    test_add(suite, "decompositions", decompositions_that_fail);
    test_add(suite, "refusals", refusals);
    test_add(suite, "destroyed", destroyed_in_an_open_step);
    test_add(suite, "options", options_that_differ);
    return test_run_mpi(suite, &argc, &argv);
}
