/*
 * Averaging of values. Both averages move by a share of the distance to the new values:
 * (1 - beta) / (1 - beta^n) for the moving one, whose weights then sum to 1, and 1/n for the plain
 * one, n counting the values taken in. All ranks hold the same values, so each keeps its own. In
 * double: late steps move an average by less than a 32-bit float can tell.
 */
#include "step/weights.h"

#include <math.h>

#include "base/memory.h"
#include "base/vector.h"

/* A result of the step is no value to average. */
static int64_t averaged_elements(const parameter *one)
{
    return parameter_has_values(one) ? one->rows * one->cols : 0;
}

plumb_status weights_make(plumb *p)
{
    weights_free(p); /* of a set-up that failed, maybe with fewer parameters */
    if (p->options.average_weights == PLUMB_AVERAGE_NONE) {
        return PLUMB_OK;
    }
    int64_t length = 0;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        length += averaged_elements(&p->parameters[i]);
    }
    return memory_zeroed(length, sizeof *p->averages, &p->averages);
}

void weights_free(plumb *p)
{
    memory_free(&p->averages);
}

VECTOR_CLONES
static void approach(int64_t count, double share, const float *restrict values,
                     double *restrict averages)
{
    for (int64_t i = 0; i < count; i++) {
        averages[i] += share * ((double)values[i] - averages[i]);
    }
}

void weights_add(plumb *p)
{
    bool tail = p->options.average_weights == PLUMB_AVERAGE_TAIL;
    if (p->averages == NULL || (tail && p->steps <= p->options.average_from)) {
        return;
    }
    double taken = (double)++p->averaged;
    double beta = p->options.average_beta;
    double share = tail ? 1.0 / taken : (1.0 - beta) / (1.0 - pow(beta, taken));
    double *averages = p->averages;
    for (int64_t i = 0; i < p->parameter_count; i++) {
        int64_t count = averaged_elements(&p->parameters[i]);
        if (count > 0) {
            approach(count, share, p->parameters[i].values, averages);
        }
        averages += count;
    }
}

plumb_status plumb_averaged_values(const plumb *p, int id, float *values)
{
    PROPAGATE(handle_given(p));
    const parameter *one = NULL;
    PROPAGATE(handle_parameter(p, id, &one));
    REQUIRE(values != NULL, PLUMB_ERROR_ARGUMENT, "plumb_averaged_values: values is NULL");
    REQUIRE(parameter_has_values(one), PLUMB_ERROR_ARGUMENT,
            "parameter \"%s\" has no values to average: its optimizer is none", one->name);
    REQUIRE(p->options.average_weights != PLUMB_AVERAGE_NONE, PLUMB_ERROR_ORDER,
            "no average of the values was asked for (average_weights)");
    REQUIRE(p->averaged > 0, PLUMB_ERROR_ORDER, "no step counts for the average yet");
    const double *averages = p->averages;
    for (int64_t i = 0; i < id; i++) {
        averages += averaged_elements(&p->parameters[i]);
    }
    for (int64_t i = 0; i < one->rows * one->cols; i++) {
        values[i] = (float)averages[i];
    }
    return PLUMB_OK;
}
