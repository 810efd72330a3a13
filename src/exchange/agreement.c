/*
 * Verdicts, equality of settings, and gathered numbers (agreement.h).
 */
#include "exchange/agreement.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "base/error.h"
#include "base/memory.h"
#include "exchange/transport.h"

/* The failure of rank `culprit` to everybody. */
static plumb_status spread_failure(MPI_Comm communicator, int culprit, plumb_status mine)
{
    struct {
        int status;
        char text[ERROR_MESSAGE_SIZE];
    } failure = {.status = (int)mine};
    strncpy(failure.text, error_text(), sizeof failure.text - 1);
    PROPAGATE(transport_broadcast(communicator, culprit, sizeof failure, &failure));
    return error_raise((plumb_status)failure.status, "%s", failure.text);
}

plumb_status agreement_verdict(MPI_Comm communicator, plumb_status mine)
{
    int rank;
    TRANSPORT(MPI_Comm_rank(communicator, &rank));
    int failing = mine == PLUMB_OK ? INT_MAX : rank;
    int lowest;
    TRANSPORT(MPI_Allreduce(&failing, &lowest, 1, MPI_INT, MPI_MIN, communicator));
    return lowest == INT_MAX ? PLUMB_OK : spread_failure(communicator, lowest, mine);
}

/* Rank 0's value to all, and whose differs first. */
static plumb_status name_difference(MPI_Comm communicator, int rank, const char *what, double value)
{
    double first = value;
    PROPAGATE(transport_broadcast(communicator, 0, sizeof first, &first));
    plumb_status mine = PLUMB_OK;
    if (value != first) {
        mine = error_raise(PLUMB_ERROR_MISMATCH, "%s is %.17g on rank %d but %.17g on rank 0", what,
                           value, rank, first);
    }
    return agreement_verdict(communicator, mine);
}

plumb_status agreement_equal(MPI_Comm communicator, plumb_status mine, const char *what,
                             double value)
{
    double nothing = 0.0;
    return agreement_equal_largest(communicator, mine, what, value, &nothing);
}

plumb_status agreement_equal_largest(MPI_Comm communicator, plumb_status mine, const char *what,
                                     double value, double *largest)
{
    int rank;
    TRANSPORT(MPI_Comm_rank(communicator, &rank));
    double bring[] = {mine == PLUMB_OK ? (double)INT_MAX : rank, value, -value, -*largest};
    double least[sizeof bring / sizeof *bring];
    TRANSPORT(MPI_Allreduce(bring, least, sizeof bring / sizeof *bring, MPI_DOUBLE, MPI_MIN,
                            communicator));
    *largest = -least[3];
    if (least[0] < (double)INT_MAX) {
        return spread_failure(communicator, (int)least[0], mine);
    }
    if (least[1] != -least[2]) {
        return name_difference(communicator, rank, what, value);
    }
    return PLUMB_OK;
}

/* Length of the line that starts at `text`. */
static int line_length(const char *text)
{
    return (int)strcspn(text, "\n");
}

/* Raises MISMATCH with the first line in which `mine` differs from rank 0's `first`. */
static plumb_status first_difference(int rank, const char *mine, const char *first)
{
    enum { SHOWN = 210 };
    while (*mine != '\0' && *first != '\0') {
        int length = line_length(mine);
        if (length != line_length(first) || strncmp(mine, first, (size_t)length) != 0) {
            break;
        }
        mine += length + (mine[length] == '\n');
        first += length + (first[length] == '\n');
    }
    int mine_length = line_length(mine);
    int first_length = line_length(first);
    return error_raise(PLUMB_ERROR_MISMATCH, "rank %d has \"%.*s\" where rank 0 has \"%.*s\"", rank,
                       mine_length < SHOWN ? mine_length : SHOWN, mine,
                       first_length < SHOWN ? first_length : SHOWN, first);
}

/* Rank 0's text to every rank, which then looks for its own difference. */
static plumb_status compare_with_first(MPI_Comm communicator, int rank, const char *text)
{
    int64_t length = (int64_t)strlen(text) + 1;
    PROPAGATE(transport_broadcast(communicator, 0, sizeof length, &length));
    char *first = NULL;
    plumb_status mine = memory_zeroed(length, 1, &first);
    plumb_status status = agreement_verdict(communicator, mine);
    if (status == PLUMB_OK) {
        if (rank == 0) {
            memcpy(first, text, (size_t)length);
        }
        status = transport_broadcast(communicator, 0, length, first);
    }
    if (status == PLUMB_OK) {
        mine = strcmp(text, first) == 0 ? PLUMB_OK : first_difference(rank, text, first);
        status = agreement_verdict(communicator, mine);
    }
    memory_free(&first);
    return status;
}

plumb_status agreement_text(MPI_Comm communicator, const char *text)
{
    int rank;
    TRANSPORT(MPI_Comm_rank(communicator, &rank));
    int64_t hash = (int64_t)(XXH3_64bits(text, strlen(text)) >> 1);
    int64_t bring[2] = {hash, -hash};
    int64_t least[2];
    TRANSPORT(MPI_Allreduce(bring, least, 2, MPI_INT64_T, MPI_MIN, communicator));
    return least[0] == -least[1] ? PLUMB_OK : compare_with_first(communicator, rank, text);
}

plumb_status agreement_gather(MPI_Comm communicator, const double *mine, const int *counts,
                              const int *displacements, double *all)
{
    int rank;
    TRANSPORT(MPI_Comm_rank(communicator, &rank));
    TRANSPORT(MPI_Allgatherv(mine, counts[rank], MPI_DOUBLE, all, counts, displacements, MPI_DOUBLE,
                             communicator));
    return PLUMB_OK;
}

plumb_status agreement_largest(MPI_Comm communicator, int count, double *values)
{
    TRANSPORT(MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_MAX, communicator));
    return PLUMB_OK;
}

plumb_status agreement_sum(MPI_Comm communicator, int count, double *values)
{
    TRANSPORT(MPI_Allreduce(MPI_IN_PLACE, values, count, MPI_DOUBLE, MPI_SUM, communicator));
    return PLUMB_OK;
}

plumb_status agreement_broadcast(MPI_Comm communicator, int64_t count, float *values)
{
    return transport_broadcast(communicator, 0, count * (int64_t)sizeof *values, values);
}
