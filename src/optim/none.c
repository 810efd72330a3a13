/*
 * No optimizer: the new values are the mean gradient. For callers with an optimizer of their own,
 * who want the exchange and its bits alone.
 */
#include <string.h>

#include "base/error.h"
#include "optim/elementwise.h"
#include "optim/optimizer.h"

static plumb_status none_update(const optimizer_input *input)
{
    if (input->new_values != input->gradient) {
        memcpy(input->new_values, input->gradient, (size_t)input->count * sizeof(float));
    }
    return PLUMB_OK;
}

static int none_states(const plumb_parameter_options *options, int groups)
{
    (void)options;
    (void)groups;
    return 0;
}

static void none_defaults(plumb_parameter_options *options)
{
    (void)options;
}

static plumb_status none_validate(const plumb_parameter_options *options, int64_t rows,
                                  int64_t cols)
{
    (void)rows;
    (void)cols;
    REQUIRE(options->beta1 == 0.0 && options->weight_decay == 0.0 && options->nesterov == 0,
            PLUMB_ERROR_UNSUPPORTED,
            "none leaves updates to the caller: beta1, weight_decay and nesterov must be 0");
    return PLUMB_OK;
}

static double none_cost(const plumb_parameter_options *options, int groups, int64_t rows,
                        int64_t cols, int64_t count)
{
    (void)options;
    (void)groups;
    (void)rows;
    (void)cols;
    return (double)count * elementwise_seconds / 3.0;
}

const optimizer_kind optimizer_none = {
    .name = "none",
    .element_wise = true,
    .keeps_gradient = true,
    .state_count = none_states,
    .defaults = none_defaults,
    .validate = none_validate,
    .update = none_update,
    .cost = none_cost,
};
