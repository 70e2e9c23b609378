/* SPDX-License-Identifier: Apache-2.0 */
/* A collector's method (opentelemetry.proto.collector.trace.v1.TraceService), for those who send spans. */
#ifndef MOTE_RPC_TRACE_SERVICE_H
#define MOTE_RPC_TRACE_SERVICE_H

#include <stdint.h>

#include "rpc/method.h"

/* Requests are made by telemetry/otlp.h. */
extern const struct mote_method mote_trace_service_export;

/* How many spans the collector refused, by its response. */
int64_t mote_trace_service_rejected(const void *response);

#endif
