/* SPDX-License-Identifier: Apache-2.0 */
#include "app/trace_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* --- endpoints --------------------------------------------------------------------------------------------------- */

static bool skip(const char **text, const char *prefix)
{
    const size_t length = strlen(prefix);
    const bool is_there = strncmp(*text, prefix, length) == 0;
    *text += is_there ? length : 0;
    return is_there;
}

/* Splits "host:port" and "[::1]:port"; a port that is missing is that of the scheme. */
static int split(struct mote_trace_endpoint *out, const char *text, size_t length, const char **problem)
{
    const char *colon = memrchr(text, ':', length);
    const char *bracket = memrchr(text, ']', length);
    const bool has_port = colon != NULL && (bracket == NULL || colon > bracket);
    const size_t host = has_port ? (size_t)(colon - text) : length;
    const bool is_v6 = host > 2 && text[0] == '[' && text[host - 1] == ']';
    uint64_t port = out->is_tls ? 443 : 80;
    if (host == 0 || host >= MOTE_TRACE_TARGET_MAX - sizeof ":65535" || (!is_v6 && memchr(text, ':', host) != NULL)) {
        *problem = "want a host, as in http://collector:4317";
        return MOTE_EINVAL;
    }
    if (has_port && (mote_decimal_parse(&port, mote_slice(colon + 1, length - host - 1), 65535) != 0 || port == 0)) {
        *problem = "the port is a number from 1 to 65535";
        return MOTE_EINVAL;
    }
    snprintf(out->target, sizeof out->target, "%.*s:%u", (int)host, text, (unsigned)port);
    snprintf(out->host, sizeof out->host, "%.*s", (int)(is_v6 ? host - 2 : host), is_v6 ? text + 1 : text);
    return 0;
}

int mote_trace_endpoint_parse(struct mote_trace_endpoint *out, const char *text, const char **problem)
{
    *out = (struct mote_trace_endpoint){.has_scheme = false};
    if (strncmp(text, "unix:", 5) == 0) {
        *problem = "the path is too long";
        out->has_scheme = true; /* never over a network */
        return snprintf(out->target, sizeof out->target, "%s", text) < (int)sizeof out->target ? 0 : MOTE_EINVAL;
    }
    out->is_tls = skip(&text, "https://");
    out->has_scheme = out->is_tls || skip(&text, "http://");
    if (strstr(text, "://") != NULL) {
        *problem = "want http:// or https://";
        return MOTE_EINVAL;
    }
    const size_t length = strcspn(text, "/?#");
    if (text[length] != '\0' && strcmp(text + length, "/") != 0) {
        *problem = "OTLP over gRPC has no path behind the port";
        return MOTE_EINVAL;
    }
    return split(out, text, length, problem);
}

/* --- pairs ------------------------------------------------------------------------------------------------------- */

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c != '\0' ? strchr(digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;
    return found != NULL ? (int)(found - digits) : -1;
}

/* In place; false for a '%' without two digits, and for what is no text then. */
static bool decode(struct mote_slice *slice)
{
    char *from = (char *)(uintptr_t)slice->data;
    char *to = from;
    const char *end = from + slice->length;
    while (from != end) {
        if (*from != '%') {
            *to++ = *from++;
            continue;
        }
        const int high = end - from > 2 ? digit(from[1]) : -1;
        const int low = end - from > 2 ? digit(from[2]) : -1;
        if (high < 0 || low < 0) {
            return false;
        }
        *to++ = (char)(high << 4 | low);
        from += 3;
    }
    slice->length = (size_t)(to - (char *)(uintptr_t)slice->data);
    return mote_utf8_is_valid(*slice) && memchr(slice->data, '\0', slice->length) == NULL;
}

static struct mote_slice trim(char *begin, char *end)
{
    while (begin < end && (*begin == ' ' || *begin == '\t')) {
        begin++;
    }
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    return mote_slice(begin, (size_t)(end - begin));
}

static int refuse(struct mote_trace_pairs *out, const char **problem, const char *why)
{
    out->count = 0;
    *problem = why;
    return MOTE_EINVAL;
}

int mote_trace_pairs_parse(struct mote_trace_pairs *out, const char *list, const char **problem)
{
    out->count = 0;
    const size_t length = list != NULL ? strlen(list) : 0;
    if (length > MOTE_TRACE_LIST_MAX) {
        return refuse(out, problem, "it is too long");
    }
    memcpy(out->text, list != NULL ? list : "", length + 1);
    for (char *at = out->text; *at != '\0';) {
        char *end = at + strcspn(at, ",");
        char *equals = memchr(at, '=', (size_t)(end - at));
        char *next = end + (*end == ',');
        if (trim(at, end).length == 0) {
            at = next;
            continue;
        }
        if (out->count == MOTE_TRACE_PAIRS_MAX) {
            return refuse(out, problem, "it has more than 32 pairs");
        }
        if (equals == NULL) {
            return refuse(out, problem, "want name=value,name=value");
        }
        struct mote_slice name = trim(at, equals);
        struct mote_slice value = trim(equals + 1, end);
        if (name.length == 0 || !decode(&name) || !decode(&value)) {
            return refuse(out, problem, "want name=value,name=value, with %20 and so on in values");
        }
        out->pairs[out->count].name = name;
        out->pairs[out->count++].value = value;
        at = next;
    }
    return 0;
}

struct mote_slice mote_trace_pairs_find(const struct mote_trace_pairs *pairs, const char *name)
{
    for (size_t i = 0; i < pairs->count; i++) {
        if (mote_slice_equals_text(pairs->pairs[i].name, name)) {
            return pairs->pairs[i].value;
        }
    }
    return mote_slice(NULL, 0);
}

/* --- propagators -------------------------------------------------------------------------------------------------- */

bool mote_trace_propagators_parse(bool *out, const char *list)
{
    *out = false;
    if (strcmp(list, "none") == 0) {
        return true;
    }
    for (;;) {
        const size_t length = strcspn(list, ",");
        const struct mote_slice word = mote_slice(list, length);
        *out = *out || mote_slice_equals_text(word, "tracecontext");
        if (!mote_slice_equals_text(word, "tracecontext") && !mote_slice_equals_text(word, "baggage")) {
            return false;
        }
        if (list[length] == '\0') {
            return true;
        }
        list += length + 1;
    }
}

/* --- ratios ------------------------------------------------------------------------------------------------------ */

int mote_trace_ratio_parse(double *out, const char *text)
{
    char *end;
    if (text[0] == '\0' || text[strspn(text, "0123456789.eE-+")] != '\0') {
        return MOTE_EINVAL;
    }
    *out = strtod(text, &end);
    return *end == '\0' && *out >= 0 && *out <= 1 ? 0 : MOTE_EINVAL;
}
