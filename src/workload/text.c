/*
 * Text files as training data (see text.h).
 */
#define _POSIX_C_SOURCE 200809L
#include "workload/text.h"
#include "workload/data_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Reads `count` bytes, less where the file ends before; how many, or -1 with an errno. */
static int64_t read_bytes(int descriptor, int64_t count, unsigned char *bytes)
{
    int64_t found = 0;
    while (found < count) {
        ssize_t got = read(descriptor, bytes + found, (size_t)(count - found));
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return got < 0 ? -1 : found;
        }
        found += got > 0 ? got : 0;
    }
    return found;
}

/* Reads the file's `size` bytes. Returns 0 or an errno. */
static int read_all(int descriptor, int64_t size, text *result)
{
    unsigned char *bytes = malloc((size_t)size + 1);
    if (bytes == NULL) {
        return ENOMEM;
    }
    int64_t count = read_bytes(descriptor, size, bytes);
    if (count < 0) {
        int error = errno;
        free(bytes);
        return error;
    }
    *result = (text){bytes, count, count - count / 10};
    return 0;
}

int text_read(const char *path, text *result, char *message, size_t message_size)
{
    *result = (text){0};
    int64_t size = 0;
    int descriptor = data_file_open(path, &size);
    int error = descriptor < 0 ? errno : read_all(descriptor, size, result);
    if (descriptor >= 0) {
        close(descriptor);
    }
    if (error != 0) {
        snprintf(message, message_size, "cannot read the text %s: %s", path,
                 data_file_reason(error));
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
