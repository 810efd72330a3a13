/*
 * Ranks in line by node, and the arithmetic of their shares (share.h).
 */
#include "exchange/share.h"

#include "base/error.h"
#include "base/memory.h"
#include "exchange/fault.h"
#include "exchange/agreement.h"
#include "exchange/transport.h"

/* The lowest rank of this rank's node names the node. */
static plumb_status find_node(MPI_Comm communicator, int rank, int *node)
{
    if (fault.pretended_nodes > 0) {
        *node = rank % fault.pretended_nodes;
        return PLUMB_OK;
    }
    MPI_Comm local;
    TRANSPORT(MPI_Comm_split_type(communicator, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &local));
    int lowest = rank;
    int code = MPI_Bcast(&lowest, 1, MPI_INT, 0, local);
    MPI_Comm_free(&local);
    TRANSPORT(code);
    *node = lowest;
    return PLUMB_OK;
}

/* Puts the ranks in line: all of the first node, all of the second, ... nodes[] by rank. */
static void line_up(share_order *order, const int *nodes)
{
    int place = 0;
    for (int leader = 0; leader < order->size; leader++) {
        if (nodes[leader] != leader) {
            continue;
        }
        order->node_starts[order->nodes++] = place;
        for (int rank = leader; rank < order->size; rank++) {
            if (nodes[rank] == leader) {
                order->rank_at[place] = rank;
                order->position_of[rank] = place++;
            }
        }
    }
    order->node_starts[order->nodes] = order->size;
}

plumb_status share_order_find(MPI_Comm communicator, share_order *order)
{
    share_order found = {0};
    TRANSPORT(MPI_Comm_size(communicator, &found.size));
    TRANSPORT(MPI_Comm_rank(communicator, &found.rank));
    int node = 0;
    PROPAGATE(find_node(communicator, found.rank, &node));
    int *nodes = NULL;
    plumb_status status = memory_zeroed(found.size, sizeof *nodes, &nodes);
    if (status == PLUMB_OK) {
        status = memory_zeroed(found.size, sizeof *found.position_of, &found.position_of);
    }
    if (status == PLUMB_OK) {
        status = memory_zeroed(found.size, sizeof *found.rank_at, &found.rank_at);
    }
    if (status == PLUMB_OK) {
        status =
            memory_zeroed((int64_t)found.size + 1, sizeof *found.node_starts, &found.node_starts);
    }
    status = agreement_verdict(communicator, status);
    if (status == PLUMB_OK) {
        status = transport_status(MPI_Allgather(&node, 1, MPI_INT, nodes, 1, MPI_INT, communicator),
                                  "MPI_Allgather");
    }
    if (status == PLUMB_OK) {
        line_up(&found, nodes);
        *order = found;
    } else {
        share_order_free(&found);
    }
    memory_free(&nodes);
    return status;
}

void share_order_free(share_order *order)
{
    memory_free(&order->position_of);
    memory_free(&order->rank_at);
    memory_free(&order->node_starts);
    *order = (share_order){0};
}

int share_node(const share_order *order, int position)
{
    int low = 0;
    int high = order->nodes - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (order->node_starts[middle] <= position) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

int share_domains(const share_order *order)
{
    return order->domains ? order->nodes : order->size;
}

share_domain share_domain_of(const share_order *order, int position)
{
    if (!order->domains) {
        return (share_domain){position, position, 1};
    }
    int node = share_node(order, position);
    int first = order->node_starts[node];
    return (share_domain){node, first, order->node_starts[node + 1] - first};
}

/* First micro-batch of the rank at `position`: position * total / size without overflow. */
static int64_t share_first(int64_t total, int size, int position)
{
    return total / size * position + total % size * position / size;
}

void share_range(int64_t total, int size, int position, int64_t *first, int64_t *count)
{
    *first = share_first(total, size, position);
    *count = share_first(total, size, position + 1) - *first;
}

int share_position(int64_t total, int size, int64_t micro_batch)
{
    /* The largest p with floor(p total / size) <= micro_batch; total is at most TREE_LARGEST. */
    return (int)(((micro_batch + 1) * size - 1) / total);
}
