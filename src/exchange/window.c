/*
 * MPI shared-memory windows that are sure to have their memory (window.h).
 */
#define _POSIX_C_SOURCE 200809L
#include "exchange/window.h"

#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/memory.h"
#include "exchange/agreement.h"
#include "exchange/fault.h"
#include "exchange/transport.h"

/* Where Linux keeps shared memory, and with it Open MPI (osc_sm_backing_directory), MPICH and
 * their kin. */
static const char shared_memory_folder[] = "/dev/shm";

enum { SPARE_BYTES = 4 << 20, SOON = 64, LATE = 20000 };

/* The window is a file to the system, which a process may not be allowed to make so large. */
static plumb_status check_file_limit(int64_t needed)
{
    struct rlimit limit;
    bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
    REQUIRE(!limited || (double)limit.rlim_cur >= (double)needed + SPARE_BYTES, PLUMB_ERROR_MEMORY,
            "this process may write files of %.0f MiB, a node's ranks need %.0f MiB",
            (double)limit.rlim_cur / 1048576.0, (double)needed / 1048576.0);
    return PLUMB_OK;
}

/* A file system says how much is free; none there says nothing, and MPI has its own ways. */
static plumb_status check_room(MPI_Comm host, int64_t bytes)
{
    int64_t needed = bytes;
    TRANSPORT(MPI_Allreduce(MPI_IN_PLACE, &needed, 1, MPI_INT64_T, MPI_SUM, host));
    REQUIRE(!fault.no_windows, PLUMB_ERROR_MEMORY, "injected: no window");
    PROPAGATE(check_file_limit(needed));
    struct statvfs folder;
    if (statvfs(shared_memory_folder, &folder) != 0) {
        return PLUMB_OK;
    }
    double room = (double)folder.f_bavail * (double)folder.f_frsize;
    REQUIRE(room >= (double)needed + SPARE_BYTES, PLUMB_ERROR_MEMORY,
            "%s has room for %.0f MiB, a node's ranks need %.0f MiB", shared_memory_folder,
            room / 1048576.0, (double)needed / 1048576.0);
    return PLUMB_OK;
}

/* Every rank's part on pages of its own, so that they lie near the rank that touches them first. */
static plumb_status allocate(MPI_Comm host, int64_t bytes, window *w)
{
    MPI_Info apart;
    TRANSPORT(MPI_Info_create(&apart));
    int code = MPI_Info_set(apart, "alloc_shared_noncontig", "true");
    void *base = NULL;
    if (code == MPI_SUCCESS) {
        code = MPI_Win_allocate_shared((MPI_Aint)bytes, 1, apart, host, &base, &w->handle);
    }
    MPI_Info_free(&apart);
    TRANSPORT(code);
    w->made = true;
    w->bytes = bytes;
    memory_count(bytes > 0, bytes);
    TRANSPORT(MPI_Win_set_errhandler(w->handle, MPI_ERRORS_RETURN));
    for (int rank = 0; rank < w->size; rank++) {
        MPI_Aint size;
        int unit;
        TRANSPORT(MPI_Win_shared_query(w->handle, rank, &size, &unit, &w->bases[rank]));
    }
    if (base != NULL) { /* a rank may have asked for no bytes */
        memset(base, 0, (size_t)bytes);
    }
    return PLUMB_OK;
}

plumb_status window_make(MPI_Comm all, MPI_Comm host, int64_t bytes, window *w)
{
    *w = (window){0};
    bool shares = host != MPI_COMM_NULL;
    plumb_status status = PLUMB_OK;
    if (shares) {
        TRANSPORT(MPI_Comm_size(host, &w->size));
        status = check_room(host, bytes);
        plumb_status listed = memory_zeroed(w->size, sizeof *w->bases, &w->bases);
        status = status == PLUMB_OK ? listed : status;
    }
    status = agreement_verdict(all, status);
    if (status == PLUMB_OK) {
        plumb_status mine = shares ? allocate(host, bytes, w) : PLUMB_OK;
        int made = w->made;
        if (shares) { /* freeing is collective: what not all have stays with MPI */
            TRANSPORT(MPI_Allreduce(MPI_IN_PLACE, &made, 1, MPI_INT, MPI_MIN, host));
        }
        w->made = made != 0;
        status = agreement_verdict(all, mine);
    }
    if (status != PLUMB_OK) {
        window_free(w);
    }
    return status;
}

void window_free(window *w)
{
    if (w->made && !transport_over()) {
        (void)MPI_Win_free(&w->handle);
    }
    if (w->bytes > 0) {
        memory_count(-1, -w->bytes);
    }
    memory_free(&w->bases);
    *w = (window){0};
}

void window_rest(int ranks, int *turns)
{
    ++*turns;
    if (*turns % SOON != 0) {
        return;
    }
    bool crowded = *turns == SOON && ranks > sysconf(_SC_NPROCESSORS_ONLN);
    if (crowded || *turns % LATE == 0) {
        sched_yield();
        *turns = crowded ? 0 : *turns;
    }
}
