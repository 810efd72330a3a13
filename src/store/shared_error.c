/*
 * Errors of shared files; see shared_error.h.
 */
#include "store/shared_error.h"
#include "store/hdf5_parallel.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int shared_error_set(shared_error *e, shared_error_kind kind, const char *format, ...)
{
    if (e->kind == SHARED_OK) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(e->message, sizeof e->message, format, arguments);
        va_end(arguments);
        e->kind = (int)kind;
    }
    return e->kind;
}

int shared_error_agree(shared_error *e, MPI_Comm communicator)
{
    int rank = 0;
    int lowest = 0;
    int code = MPI_Comm_rank(communicator, &rank);
    int mine = e->kind != SHARED_OK ? rank : INT_MAX;
    if (code == MPI_SUCCESS) {
        code = MPI_Allreduce(&mine, &lowest, 1, MPI_INT, MPI_MIN, communicator);
    }
    if (code == MPI_SUCCESS && lowest != INT_MAX) {
        code = MPI_Bcast(e, (int)sizeof *e, MPI_BYTE, lowest, communicator);
    }
    if (code != MPI_SUCCESS) {
        shared_error_set(e, SHARED_SYSTEM, "MPI failed while ranks agreed on a file");
    }
    return e->kind;
}

/* H5Ewalk2 upwards begins with the deepest cause. */
static herr_t take_cause(unsigned depth, const H5E_error2_t *error, void *context)
{
    char *text = context;
    if (depth == 0 && error->desc != NULL) {
        snprintf(text, 400, "%s", error->desc);
    }
    return 0;
}

int shared_error_from_hdf5(shared_error *e, const char *what)
{
    char cause[400] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_cause, cause);
    H5Eclear2(H5E_DEFAULT);
    /* Drivers add file name, time and addresses: the part that names the cause is enough. */
    char *system_text = strstr(cause, "error message = '");
    if (system_text != NULL) {
        system_text += strlen("error message = '");
        system_text[strcspn(system_text, "'")] = '\0';
    }
    const char *reason = system_text != NULL ? system_text : cause;
    return shared_error_set(e, SHARED_FILE, "%s: %s", what,
                            reason[0] != '\0' ? reason : "HDF5 gives no reason");
}

void shared_error_quiet_hdf5(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}
