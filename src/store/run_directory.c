/*
 * Making run folders and writing whole files into them; see run_directory.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/run_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Makes the folders above `path`; what exists is fine. */
static void make_parents(const char *path)
{
    char parent[2048];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *slash = strchr(parent + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(parent, 0777);
        *slash = '/';
    }
}

static int create_requested(run_directory *directory, const char *requested, char *message,
                            size_t message_size)
{
    if (strlen(requested) >= sizeof directory->path - 64) {
        snprintf(message, message_size, "the name of the run directory is too long");
        return 1;
    }
    snprintf(directory->path, sizeof directory->path, "%s", requested);
    for (size_t end = strlen(directory->path); end > 1 && directory->path[end - 1] == '/'; end--) {
        directory->path[end - 1] = '\0';
    }
    make_parents(directory->path);
    if (mkdir(directory->path, 0777) == 0) {
        return 0;
    }
    if (errno == EEXIST) {
        snprintf(message, message_size,
                 "run directory %s exists; it is left as it is: choose another --run", requested);
    } else {
        snprintf(message, message_size, "cannot make run directory %s: %s", requested,
                 strerror(errno));
    }
    return 1;
}

int run_directory_create(run_directory *directory, const char *requested, const char *stem,
                         char *message, size_t message_size)
{
    if (requested != NULL) {
        return create_requested(directory, requested, message, message_size);
    }
    mkdir("runs", 0777);
    for (int number = 1; number < 1000000; number++) {
        snprintf(directory->path, sizeof directory->path, "runs/%s-%d", stem, number);
        if (mkdir(directory->path, 0777) == 0) {
            return 0;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    snprintf(message, message_size, "cannot make run directory %s: %s", directory->path,
             strerror(errno));
    return 1;
}

int run_directory_file(const run_directory *directory, const char *name, char *path, size_t size)
{
    int length = snprintf(path, size, "%s/%s", directory->path, name);
    return length < 0 || (size_t)length >= size;
}

/* Writes all of `text`, waits until it is on disk, and closes. */
static bool write_whole(int descriptor, const char *text, size_t length)
{
    bool good = true;
    while (good && length > 0) {
        ssize_t written = write(descriptor, text, length);
        if (written < 0 && errno != EINTR) {
            good = false;
        } else if (written > 0) {
            text += written;
            length -= (size_t)written;
        }
    }
    good = good && fsync(descriptor) == 0;
    int cause = errno;
    if (close(descriptor) != 0 && good) {
        return false;
    }
    errno = cause;
    return good;
}

static bool replace_file(const char *path, const char *text, size_t length)
{
    char temporary[2304];
    snprintf(temporary, sizeof temporary, "%s.new", path);
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (descriptor < 0) {
        return false;
    }
    if (write_whole(descriptor, text, length) && rename(temporary, path) == 0) {
        return true;
    }
    int cause = errno;
    unlink(temporary);
    errno = cause;
    return false;
}

int run_directory_write(const run_directory *directory, const char *name, const json_t *value,
                        char *message, size_t message_size)
{
    char path[2240];
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    if (text == NULL || run_directory_file(directory, name, path, sizeof path) != 0) {
        snprintf(message, message_size, "cannot compose %s: no memory", name);
        free(text);
        return 1;
    }
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the 0: written by length */
    bool good = replace_file(path, text, length + 1);
    if (!good) {
        snprintf(message, message_size, "cannot write %s: %s", path, strerror(errno));
    }
    free(text);
    return good ? 0 : 1;
}
