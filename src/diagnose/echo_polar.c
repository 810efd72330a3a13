/*
 * plumb_echo_polar: sum w_i u_i v_i' over the singular directions of the mean of the groups. With w
 * the echoes, no other weights of these directions are nearer to the polar factor U V' of the true
 * gradient: |sum w_i u_i v_i' - U V'|^2 is least where w_i = u_i' U V' v_i.
 */
#include <math.h>

#include "base/error.h"
#include "base/memory.h"
#include "diagnose/echo_spectrum.h"

static void store(const echo_groups *groups, const double *matrix, float *result)
{
    bool tall = groups->rows > groups->cols;
    for (int64_t i = 0; i < groups->side; i++) {
        for (int64_t j = 0; j < groups->length; j++) {
            int64_t to = tall ? j * groups->side + i : i * groups->length + j;
            result[to] = (float)matrix[i * groups->length + j];
        }
    }
}

/* A direction of which nothing is known, or that is not wanted, weighs nothing. */
static void weigh(echo_spectrum *s)
{
    for (int64_t i = 0; i < s->groups.side; i++) {
        bool known = i < s->options.most && !isnan(s->echoes[i]);
        s->echoes[i] = known ? s->echoes[i] : 0.0;
    }
}

static plumb_status rebuild(echo_spectrum *s, float *result)
{
    int64_t side = s->groups.side, length = s->groups.length;
    double *left = NULL, *right = NULL;
    plumb_status status = memory_allocate(side * side, sizeof *left, &left);
    if (status == PLUMB_OK) {
        status = memory_allocate(side * length, sizeof *right, &right);
    }
    if (status == PLUMB_OK) {
        weigh(s);
        gram_svd_frames(&s->svd, s->mean, left, right);
        gram_svd_rebuild(side, length, s->echoes, left, right, s->mean);
        store(&s->groups, s->mean, result);
    }
    memory_free(&left);
    memory_free(&right);
    return status;
}

plumb_status plumb_echo_polar(int64_t rows, int64_t cols, int64_t count, const float *const *groups,
                              const plumb_echo_options *options, float *result)
{
    echo_spectrum s;
    REQUIRE(result != NULL, PLUMB_ERROR_ARGUMENT,
            "there is no place for the weighted polar factor");
    REQUIRE(count >= 2, PLUMB_ERROR_ARGUMENT,
            "the echo of a polar factor needs two groups: there are %lld", (long long)count);
    REQUIRE(options == NULL || options->size != sizeof *options ||
                (options->whiten == 0 && options->folds != 1),
            PLUMB_ERROR_ARGUMENT,
            "whitened directions and single folds have no echoes of the mean's directions");
    PROPAGATE(echo_spectrum_create(rows, cols, count, groups, options, &s));
    plumb_status status = rebuild(&s, result);
    echo_spectrum_free(&s);
    return status;
}
