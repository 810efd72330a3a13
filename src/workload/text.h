/*
 * A text as training data: all bytes of a file, the first nine tenths to train on, the last tenth
 * held out and cut into windows.
 */
#ifndef WORKLOAD_TEXT_H
#define WORKLOAD_TEXT_H

#include <stddef.h>
#include <stdint.h>

typedef struct text {
    unsigned char *bytes; /* [count] */
    int64_t count;
    int64_t training; /* bytes [0, training) are for training, the others held out */
} text;

/* Reads a whole regular file, any bytes. Returns 0, or 1 with a line in `message` that names the
 * file. */
int text_read(const char *path, text *result, char *message, size_t message_size);

/* 1, with a line in `message` that names the file and its sizes, unless both parts have at least
 * context + 1 bytes. */
int text_check(const text *subject, const char *path, int64_t context, char *message,
               size_t message_size);

/* Number of training sequences, one for each start: context + 1 bytes from [0, training). */
int64_t text_sequences(const text *subject, int64_t context);

/*
 * Held-out windows of context + 1 bytes, `context` apart: each predicts the `context` bytes after
 * its first, so that no byte is predicted twice and only the rest of a window is left over.
 */
int64_t text_windows(const text *subject, int64_t context);
const unsigned char *text_window(const text *subject, int64_t context, int64_t window);

void text_free(text *subject);

#endif
