/*
 * Opening files of training data; see data_file.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "workload/data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 0 if the open file is a regular one, or an errno. */
static int examine(int descriptor, int64_t *size)
{
    struct stat facts;
    if (fstat(descriptor, &facts) != 0) {
        return errno;
    }
    *size = (int64_t)facts.st_size;
    return S_ISREG(facts.st_mode) ? 0 : S_ISDIR(facts.st_mode) ? EISDIR : EINVAL;
}

int data_file_open(const char *path, int64_t *size)
{
    /* Without O_NONBLOCK opening a pipe waits for its writer. */
    int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) {
        return -1;
    }
    int error = examine(descriptor, size);
    if (error != 0) {
        close(descriptor);
        errno = error;
        return -1;
    }
    return descriptor;
}

const char *data_file_reason(int error)
{
    return error == EINVAL ? "not a regular file" : strerror(error);
}
