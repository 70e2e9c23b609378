/* SPDX-License-Identifier: Apache-2.0 */
/* The exporter of spans (net/trace_export.h) as the OTEL_* settings want it. */
#ifndef MOTE_APP_TRACES_H
#define MOTE_APP_TRACES_H

#include "app/options.h"
#include "app/trace_settings.h"
#include "net/trace_export.h"

struct mote_traces {
    struct mote_trace_export *exporter; /* NULL: no traces */
    /* What it borrows. */
    struct mote_trace_endpoint endpoint;
    struct mote_trace_pairs header_pairs, resource_pairs;
    struct mote_field headers[MOTE_TRACE_PAIRS_MAX];
    struct mote_field resource[MOTE_TRACE_PAIRS_MAX];
    struct mote_span_limits limits;
    char user_agent[64];
};

/* Starts it, if these options, which have been checked, ask for traces. Options and log are borrowed until dispose.
 * MOTE_EINVAL, MOTE_ENOTFOUND (a certificate), MOTE_ENOMEM, with one line in `problem`. */
MOTE_MUST_CHECK int mote_traces_start(struct mote_traces *traces, const struct mote_options *options,
                                      const char *version, struct mote_log *log, char problem[MOTE_TRACE_PROBLEM_MAX]);
/* After mote_trace_export_stop. Works on a zeroed struct. */
void mote_traces_dispose(struct mote_traces *traces);

#endif
