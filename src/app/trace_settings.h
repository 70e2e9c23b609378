/* SPDX-License-Identifier: Apache-2.0 */
/* Values of OTEL_* variables in text: endpoints, lists of pairs, ratios. Pure functions. */
#ifndef MOTE_APP_TRACE_SETTINGS_H
#define MOTE_APP_TRACE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/slice.h"

#define MOTE_TRACE_TARGET_MAX 300u
#define MOTE_TRACE_PAIRS_MAX  32u
#define MOTE_TRACE_LIST_MAX   4095u

struct mote_trace_endpoint {
    char target[MOTE_TRACE_TARGET_MAX]; /* "collector:4317", as mote_channel_open takes it */
    char host[MOTE_TRACE_TARGET_MAX];
    bool has_scheme, is_tls;
};

/* "http://host:4317", "https://host", "host:4317", "unix:/path". MOTE_EINVAL with the reason. */
MOTE_MUST_CHECK int mote_trace_endpoint_parse(struct mote_trace_endpoint *out, const char *text, const char **problem);

struct mote_trace_pairs {
    struct {
        struct mote_slice name, value;
    } pairs[MOTE_TRACE_PAIRS_MAX]; /* in `text` */
    size_t count;
    char text[MOTE_TRACE_LIST_MAX + 1];
};

/* "name=value,name=value" with %41 for bytes that cannot stand there; NULL is an empty list. MOTE_EINVAL with the
 * reason. */
MOTE_MUST_CHECK int mote_trace_pairs_parse(struct mote_trace_pairs *out, const char *list, const char **problem);
/* The first of that name; {NULL, 0}: none. */
struct mote_slice mote_trace_pairs_find(const struct mote_trace_pairs *pairs, const char *name);

/* "tracecontext,baggage", "none": whether callers' traces are looked at. False for what is no such list. */
bool mote_trace_propagators_parse(bool *out, const char *list);

/* A decimal number from 0 to 1. */
MOTE_MUST_CHECK int mote_trace_ratio_parse(double *out, const char *text);

#endif
