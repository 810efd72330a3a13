/*
 * Saving and loading parameters; see parameter_folder.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "store/parameter_folder.h"
#include "store/npy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

/* RUN/FOLDER/NAME.npy */
static bool file_path(const char *run, const char *folder, const char *name, char *path)
{
    int length = snprintf(path, PATH_SIZE, "%s/%s/%s.npy", run, folder, name);
    return length > 0 && length < PATH_SIZE;
}

/* So that the names, too, are on disk before the folder gets its own. */
static void sync_folder(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
}

static int write_all(const char *run, const char *folder, const saved_parameter *parameters,
                     int count, char *message, size_t message_size)
{
    char path[PATH_SIZE];
    for (int i = 0; i < count; i++) {
        const saved_parameter *p = &parameters[i];
        if (!file_path(run, folder, p->name, path)) {
            snprintf(message, message_size, "the name of the run directory is too long");
            return 1;
        }
        if (npy_write(path, p->rows, p->cols, p->values, message, message_size) != 0) {
            return 1;
        }
    }
    return 0;
}

static void remove_all(const char *run, const char *folder, const saved_parameter *parameters,
                       int count)
{
    char path[PATH_SIZE];
    for (int i = 0; i < count; i++) {
        if (file_path(run, folder, parameters[i].name, path)) {
            unlink(path);
        }
    }
}

int parameter_folder_write(const char *run, const saved_parameter *parameters, int count,
                           char *message, size_t message_size)
{
    static const char unfinished[] = "parameters.new";
    char from[PATH_SIZE];
    char to[PATH_SIZE];
    snprintf(from, sizeof from, "%s/%s", run, unfinished);
    snprintf(to, sizeof to, "%s/parameters", run);
    if (mkdir(from, 0777) != 0) {
        snprintf(message, message_size, "cannot make %.400s: %s", from, strerror(errno));
        return 1;
    }
    int result = write_all(run, unfinished, parameters, count, message, message_size);
    sync_folder(from);
    if (result == 0 && rename(from, to) != 0) {
        snprintf(message, message_size, "cannot make %.400s: %s", to, strerror(errno));
        result = 1;
    }
    if (result != 0) {
        remove_all(run, unfinished, parameters, count);
        rmdir(from);
    }
    return result;
}

static bool is_among(const char *file, const saved_parameter *parameters, int count)
{
    for (int i = 0; i < count; i++) {
        size_t length = strlen(parameters[i].name);
        if (strncmp(file, parameters[i].name, length) == 0 && strcmp(file + length, ".npy") == 0) {
            return true;
        }
    }
    return false;
}

/* Files of parameters that nobody asks for are those of another model. */
static int check_names(const char *path, const saved_parameter *parameters, int count,
                       char *message, size_t message_size)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        snprintf(message, message_size, "no saved parameters: %s: %s", path, strerror(errno));
        return 1;
    }
    int result = 0;
    for (const struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        const char *end = strrchr(entry->d_name, '.');
        if (end != NULL && strcmp(end, ".npy") == 0 &&
            !is_among(entry->d_name, parameters, count)) {
            snprintf(message, message_size, "%s/%s is no parameter of this model", path,
                     entry->d_name);
            result = 1;
            break;
        }
    }
    closedir(folder);
    return result;
}

int parameter_folder_read(const char *run, const saved_parameter *parameters, int count,
                          char *message, size_t message_size)
{
    char path[PATH_SIZE];
    int length = snprintf(path, sizeof path, "%s/parameters", run);
    if (length < 0 || length >= PATH_SIZE) {
        snprintf(message, message_size, "the name of the run with the parameters is too long");
        return 1;
    }
    /* The files of this model first: a wrong shape says more than a file too many. */
    struct stat status;
    if (stat(path, &status) != 0) {
        snprintf(message, message_size, "no saved parameters: %s: %s", path, strerror(errno));
        return 1;
    }
    for (int i = 0; i < count; i++) {
        const saved_parameter *p = &parameters[i];
        if (!file_path(run, "parameters", p->name, path)) {
            snprintf(message, message_size, "the name of the run with the parameters is too long");
            return 1;
        }
        if (npy_read(path, p->rows, p->cols, p->values, message, message_size) != 0) {
            return 1;
        }
    }
    snprintf(path, sizeof path, "%s/parameters", run);
    return check_names(path, parameters, count, message, message_size);
}
