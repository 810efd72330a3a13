/*
 * The switches of fault.h.
 */
#include "exchange/fault.h"

#include "base/error.h"

fault_settings fault = {0};

plumb_status fault_of_message(void)
{
    if (fault.fail_message_after > 0 && --fault.fail_message_after == 0) {
        return error_raise(PLUMB_ERROR_MPI, "injected: a message failed");
    }
    return PLUMB_OK;
}
