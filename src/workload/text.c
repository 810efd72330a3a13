/*
 * Text files as training data (see text.h).
 */
#include "workload/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Reads to the end of `file`, which may be a pipe. Returns 0 or an errno. */
static int read_all(FILE *file, text *result)
{
    size_t capacity = (size_t)1 << 20;
    size_t count = 0;
    unsigned char *bytes = malloc(capacity);
    while (bytes != NULL) {
        count += fread(bytes + count, 1, capacity - count, file);
        if (count < capacity) {
            break;
        }
        capacity *= 2;
        unsigned char *larger = realloc(bytes, capacity);
        if (larger == NULL) {
            free(bytes);
        }
        bytes = larger;
    }
    if (bytes == NULL) {
        return ENOMEM;
    }
    if (ferror(file)) {
        free(bytes);
        return errno != 0 ? errno : EIO;
    }
    *result = (text){bytes, (int64_t)count, (int64_t)count - (int64_t)count / 10};
    return 0;
}

int text_read(const char *path, text *result, char *message, size_t message_size)
{
    *result = (text){0};
    errno = 0;
    FILE *file = fopen(path, "rb");
    int error = file == NULL ? errno : read_all(file, result);
    if (file != NULL) {
        fclose(file);
    }
    if (error != 0) {
        snprintf(message, message_size, "cannot read the text %s: %s", path, strerror(error));
        return 1;
    }
    if (result->count == 0) {
        snprintf(message, message_size, "the text %s is empty", path);
        text_free(result);
        return 1;
    }
    return 0;
}

int text_check(const text *subject, const char *path, int64_t context, char *message,
               size_t message_size)
{
    if (text_sequences(subject, context) >= 1 && text_windows(subject, context) >= 1) {
        return 0;
    }
    snprintf(message, message_size,
             "the text %s is too short: of its %lld bytes the first %lld are for training and the "
             "last %lld held out, and each part must have --context + 1 = %lld",
             path, (long long)subject->count, (long long)subject->training,
             (long long)(subject->count - subject->training), (long long)context + 1);
    return 1;
}

int64_t text_sequences(const text *subject, int64_t context)
{
    return subject->training > context ? subject->training - context : 0;
}

int64_t text_windows(const text *subject, int64_t context)
{
    int64_t held_out = subject->count - subject->training;
    return held_out > context ? (held_out - 1) / context : 0;
}

const unsigned char *text_window(const text *subject, int64_t context, int64_t window)
{
    return subject->bytes + subject->training + window * context;
}

void text_free(text *subject)
{
    free(subject->bytes);
    *subject = (text){0};
}
