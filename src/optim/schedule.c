/*
 * The learning rate as a function of the step alone. Bounds: peak in [0, 1e6], floor_fraction in
 * [0, 1], 0 <= warm_up <= steps, steps >= 1, step >= 0.
 */
#include <math.h>

#include "base/error.h"
#include "plumb.h"

static const double pi = 3.14159265358979323846;
static const double highest_peak = 1e6;

static plumb_status schedule_check(const plumb_schedule *schedule)
{
    REQUIRE(schedule->size == sizeof *schedule, PLUMB_ERROR_ARGUMENT,
            "plumb_schedule.size is %zu, must be %zu", schedule->size, sizeof *schedule);
    REQUIRE(schedule->shape == PLUMB_SCHEDULE_CONSTANT || schedule->shape == PLUMB_SCHEDULE_COSINE,
            PLUMB_ERROR_ARGUMENT, "there is no schedule shape %d", (int)schedule->shape);
    REQUIRE(schedule->peak >= 0.0 && schedule->peak <= highest_peak, PLUMB_ERROR_ARGUMENT,
            "schedule: peak is %g, must be in [0, %g]", schedule->peak, highest_peak);
    REQUIRE(schedule->floor_fraction >= 0.0 && schedule->floor_fraction <= 1.0,
            PLUMB_ERROR_ARGUMENT, "schedule: floor_fraction is %g, must be in [0, 1]",
            schedule->floor_fraction);
    REQUIRE(schedule->steps >= 1, PLUMB_ERROR_ARGUMENT, "schedule: steps is %lld, must be positive",
            (long long)schedule->steps);
    REQUIRE(schedule->warm_up >= 0 && schedule->warm_up <= schedule->steps, PLUMB_ERROR_ARGUMENT,
            "schedule: warm_up is %lld, must be in [0, %lld]", (long long)schedule->warm_up,
            (long long)schedule->steps);
    return PLUMB_OK;
}

/* From 1 at step warm_up to floor_fraction at the last step. */
static double cosine_factor(const plumb_schedule *schedule, int64_t step)
{
    int64_t span = schedule->steps - 1 - schedule->warm_up;
    if (span <= 0) {
        return 1.0;
    }
    double progress = (double)(step - schedule->warm_up) / (double)span;
    double fall = 0.5 * (1.0 - cos(pi * progress));
    return 1.0 - (1.0 - schedule->floor_fraction) * fall;
}

plumb_status plumb_schedule_rate(const plumb_schedule *schedule, int64_t step, double *rate)
{
    REQUIRE(schedule != NULL && rate != NULL, PLUMB_ERROR_ARGUMENT,
            "plumb_schedule_rate: schedule and rate may not be NULL");
    PROPAGATE(schedule_check(schedule));
    REQUIRE(step >= 0, PLUMB_ERROR_ARGUMENT, "schedule: step is %lld, must not be negative",
            (long long)step);
    if (step >= schedule->steps) {
        step = schedule->steps - 1;
    }
    double factor = 1.0;
    if (step < schedule->warm_up) {
        factor = (double)(step + 1) / (double)schedule->warm_up;
    } else if (schedule->shape == PLUMB_SCHEDULE_COSINE) {
        factor = cosine_factor(schedule, step);
    }
    *rate = schedule->peak * factor;
    return PLUMB_OK;
}
