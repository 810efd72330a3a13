/*
 * Writing metrics.jsonl; see metrics.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct metrics {
    int descriptor;
    off_t length; /* of the whole lines written so far */
    char path[2304];
};

int metrics_open(metrics **m, const char *path, char *message, size_t message_size)
{
    metrics *made = calloc(1, sizeof *made);
    if (made == NULL) {
        snprintf(message, message_size, "no memory");
        return 1;
    }
    snprintf(made->path, sizeof made->path, "%s", path);
    made->descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0666);
    if (made->descriptor < 0) {
        snprintf(message, message_size, "cannot write %s: %s", path, strerror(errno));
        free(made);
        return 1;
    }
    *m = made;
    return 0;
}

/* JSON has no NaN and no Inf: null. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void set_if_known(json_t *object, const char *name, double value)
{
    if (!isnan(value)) {
        json_object_set_new(object, name, number(value));
    }
}

static void set_update(json_t *object, const metrics_line *line)
{
    json_object_set_new(object, "micro_batches", json_integer(line->micro_batches));
    json_object_set_new(object, "learning_rate", number(line->learning_rate));
    json_object_set_new(object, "gradient_norm", number(line->gradient_norm));
    json_object_set_new(object, "clip_factor", number(line->clip_factor));
    set_if_known(object, "correction_clipped", line->correction_clipped);
    set_if_known(object, "unclipped", line->unclipped);
    if (!isnan(line->roots_failed)) {
        json_object_set_new(object, "roots_failed", json_integer((json_int_t)line->roots_failed));
    }
}

static void set_cost(json_t *object, const metrics_line *line)
{
    json_object_set_new(object, "tokens_per_second", number(line->tokens_per_second));
    json_object_set_new(
        object, "exchange_bytes",
        isnan(line->exchange_bytes) ? json_null() : json_integer((json_int_t)line->exchange_bytes));
    json_object_set_new(object, "exchange_seconds", number(line->exchange_seconds));
    json_object_set_new(object, "update_seconds", number(line->update_seconds));
    set_if_known(object, "diagnosis_seconds", line->diagnosis_seconds);
    json_object_set_new(object, "overlap", number(line->overlap));
}

static json_t *compose(const metrics_line *line)
{
    json_t *object = json_object();
    json_object_set_new(object, "step", json_integer(line->step));
    if (line->trained) {
        json_object_set_new(object, "loss", number(line->loss));
    }
    set_if_known(object, "held_out_loss", line->held_out_loss);
    set_if_known(object, "held_out_accuracy", line->held_out_accuracy);
    set_if_known(object, "held_out_loss_average", line->held_out_loss_average);
    set_if_known(object, "held_out_accuracy_average", line->held_out_accuracy_average);
    if (line->trained) {
        set_update(object, line);
    }
    if (line->diagnosis != NULL) {
        json_object_update(object, line->diagnosis);
    }
    json_object_set_new(object, "seconds", number(line->seconds));
    if (line->trained) {
        set_cost(object, line);
    }
    if (line->skipped) {
        json_object_set_new(object, "skipped", json_true());
        json_object_set_new(object, "reason", json_string(line->reason));
    }
    json_object_set_new(object, "parameters_hash", json_string(line->parameters_hash));
    return object;
}

/* One write, unless the system takes less; what arrived of a line that does not fit is undone. */
static bool append(metrics *m, const char *text, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t written = write(m->descriptor, text + done, length - done);
        if (written < 0 && errno != EINTR) {
            break;
        }
        done += written > 0 ? (size_t)written : 0;
    }
    if (done == length) {
        m->length += (off_t)length;
        return true;
    }
    int cause = errno;
    if (done > 0 && ftruncate(m->descriptor, m->length) != 0) {
        cause = errno;
    }
    errno = cause;
    return false;
}

int metrics_write(metrics *m, const metrics_line *line, char *message, size_t message_size)
{
    json_t *object = compose(line);
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(object);
    if (text == NULL) {
        snprintf(message, message_size, "cannot compose a line of %s", m->path);
        return 1;
    }
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the 0: written by length */
    bool good = append(m, text, length + 1);
    if (!good) {
        snprintf(message, message_size, "cannot write %s: %s", m->path, strerror(errno));
    }
    free(text);
    return good ? 0 : 1;
}

int metrics_close(metrics **m, char *message, size_t message_size)
{
    metrics *closing = *m;
    *m = NULL;
    if (closing == NULL) {
        return 0;
    }
    int result = 0;
    if (close(closing->descriptor) != 0) {
        snprintf(message, message_size, "cannot write %s: %s", closing->path, strerror(errno));
        result = 1;
    }
    free(closing);
    return result;
}
