/*
 * What went wrong in a file that all ranks work on: a kind and one line, agreed over the ranks,
 * so that all of them stop at the same place. With it, what HDF5 says about its own failures,
 * which it would print by itself otherwise.
 */
#ifndef STORE_SHARED_ERROR_H
#define STORE_SHARED_ERROR_H

#include <mpi.h>
#include <stddef.h>

typedef enum shared_error_kind {
    SHARED_OK = 0,
    SHARED_FILE = 1,  /* missing, damaged, of another form, not writable */
    SHARED_SYSTEM = 2 /* no memory, or MPI failed */
} shared_error_kind;

typedef struct shared_error {
    int kind; /* shared_error_kind */
    char message[800];
} shared_error;

/* Records an error; the first one stays. Returns its kind. */
int shared_error_set(shared_error *e, shared_error_kind kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Every rank gets the error of the lowest rank that has one. Collective. Returns its kind. */
int shared_error_agree(shared_error *e, MPI_Comm communicator);

/* Records "WHAT: HDF5's own words", or the system's if HDF5 met an error of the system. */
int shared_error_from_hdf5(shared_error *e, const char *what);

/* Stops HDF5 from printing. Before the first call that may fail. */
void shared_error_quiet_hdf5(void);

#endif
