/*
 * What all workloads share: their end.
 */
#include "workload/workload.h"

void workload_destroy(workload **w)
{
    if (w != NULL && *w != NULL) {
        (*w)->kind->destroy(*w);
        *w = NULL;
    }
}
