/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A span as OTLP has it (opentelemetry.proto.trace.v1.Span), encoded once when it ends. Attribute names are those of
 * OpenTelemetry's semantic conventions for RPC; they are in one table.
 */
#ifndef MOTE_TELEMETRY_SPAN_H
#define MOTE_TELEMETRY_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "telemetry/attribute.h"
#include "telemetry/trace_context.h"

#define MOTE_SPAN_SCHEMA_URL    "https://opentelemetry.io/schemas/1.44.0"
#define MOTE_SPAN_ENCODED_MAX   4096u /* bytes of a span; a larger one is not kept */
#define MOTE_SPAN_ATTRIBUTE_MAX 16u

/* X(constant, "name"); docs/traces.md tells what they say. */
#define MOTE_SPAN_ATTRIBUTE_MAP(X)                                                                                     \
    X(RPC_SYSTEM, "rpc.system.name")                                                                                   \
    X(RPC_METHOD, "rpc.method")                                                                                        \
    X(RPC_METHOD_ORIGINAL, "rpc.method_original")                                                                      \
    X(RPC_STATUS, "rpc.response.status_code")                                                                          \
    X(ERROR_TYPE, "error.type")                                                                                        \
    X(SERVER_ADDRESS, "server.address")                                                                                \
    X(SERVER_PORT, "server.port")                                                                                      \
    X(PEER_ADDRESS, "network.peer.address")                                                                            \
    X(PEER_PORT, "network.peer.port")

enum mote_span_attribute_id {
#define X(constant, name) MOTE_SPAN_##constant,
    MOTE_SPAN_ATTRIBUTE_MAP(X)
#undef X
        MOTE_SPAN_ATTRIBUTE_COUNT,
};

enum mote_span_kind {
    MOTE_SPAN_INTERNAL = 1,
    MOTE_SPAN_SERVER = 2,
    MOTE_SPAN_CLIENT = 3,
};

struct mote_span {
    struct mote_trace_context context;
    bool has_parent, parent_is_remote;
    uint8_t parent_id[MOTE_SPAN_ID_LENGTH];
    const struct mote_trace_context *link; /* the caller's trace, where it is not continued; NULL: none */
    struct mote_slice trace_state;
    struct mote_slice name;
    enum mote_span_kind kind;
    uint64_t start_ns, end_ns; /* since 1970 */
    bool is_error;
    struct mote_attribute attributes[MOTE_SPAN_ATTRIBUTE_MAX];
    size_t attribute_count;
};

/* Adds one; there is room for each once. */
void mote_span_add_text(struct mote_span *span, enum mote_span_attribute_id id, struct mote_slice text);
void mote_span_add_number(struct mote_span *span, enum mote_span_attribute_id id, uint64_t number);
/* The span as an element of ScopeSpans.spans, its tag and length included; texts that are not UTF-8 are left out. 0:
 * it is larger than `capacity`. */
size_t mote_span_encode(const struct mote_span *span, uint8_t *out, size_t capacity);

#endif
