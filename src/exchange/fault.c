/*
 * The faults that tests inject (fault.h): none.
 */
#include "exchange/fault.h"

fault_settings fault;
