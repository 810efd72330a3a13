/*
 * Error translation and chunking of the MPI calls (transport.h).
 */
#include "exchange/transport.h"

#include <limits.h>

#include "base/error.h"

plumb_status transport_status(int code, const char *call)
{
    if (code == MPI_SUCCESS) {
        return PLUMB_OK;
    }
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) {
        text[0] = '\0';
    }
    return error_raise(PLUMB_ERROR_MPI, "%.100s: %.300s", call, text);
}

plumb_status transport_usable(MPI_Comm communicator)
{
    int begun = 0;
    int ended = 0;
    MPI_Initialized(&begun);
    MPI_Finalized(&ended);
    REQUIRE(begun && !ended, PLUMB_ERROR_ORDER, "MPI is not initialised");
    REQUIRE(communicator != MPI_COMM_NULL, PLUMB_ERROR_ARGUMENT,
            "the communicator is MPI_COMM_NULL");
    return PLUMB_OK;
}

plumb_status transport_duplicate(MPI_Comm communicator, MPI_Comm *duplicate)
{
    PROPAGATE(transport_usable(communicator));
    TRANSPORT(MPI_Comm_dup(communicator, duplicate));
    TRANSPORT(MPI_Comm_set_errhandler(*duplicate, MPI_ERRORS_RETURN));
    return PLUMB_OK;
}

int64_t transport_chunks(int64_t count, int64_t chunk)
{
    return count <= chunk ? 1 : (count + chunk - 1) / chunk;
}

plumb_status transport_broadcast(MPI_Comm communicator, int root, int64_t bytes, void *data)
{
    const int64_t chunk = INT_MAX / 2;
    for (int64_t done = 0; done < bytes; done += chunk) {
        int64_t part = bytes - done < chunk ? bytes - done : chunk;
        TRANSPORT(MPI_Bcast((char *)data + done, (int)part, MPI_BYTE, root, communicator));
    }
    return PLUMB_OK;
}

plumb_status transport_sum(MPI_Comm communicator, int64_t count, int64_t chunk, float *values)
{
    for (int64_t done = 0; done < count; done += chunk) {
        int64_t part = count - done < chunk ? count - done : chunk;
        TRANSPORT(MPI_Allreduce(MPI_IN_PLACE, values + done, (int)part, MPI_FLOAT, MPI_SUM,
                                communicator));
    }
    return PLUMB_OK;
}

double transport_seconds(void)
{
    return MPI_Wtime();
}

bool transport_over(void)
{
    int over = 0;
    MPI_Finalized(&over);
    return over != 0;
}

void transport_release(MPI_Comm *duplicate)
{
    if (!transport_over() && *duplicate != MPI_COMM_NULL) {
        (void)MPI_Comm_free(duplicate);
    }
    *duplicate = MPI_COMM_NULL;
}
