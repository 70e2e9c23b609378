/* SPDX-License-Identifier: Apache-2.0 */
/* Load reports of the interop server (gRFC A51), with a call and out of band. One worker: the last report is shared. */
#ifndef MOTE_TESTS_SERVERS_ORCA_H
#define MOTE_TESTS_SERVERS_ORCA_H

#include <mote/rpc/call.h>

#include "interop.mote.h"

/* Puts the report into the call's trailers. */
MOTE_MUST_CHECK int orca_report_call(struct mote_call *call, const grpc_testing_TestOrcaReport *report);
/* What is reported out of band from now on. */
void orca_set_report(const grpc_testing_TestOrcaReport *report);

#endif
