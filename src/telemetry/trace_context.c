/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/trace_context.h"

#include "base/text.h"

#define ENTRIES_MAX 32u
#define KEY_MAX     256u
#define VALUE_MAX   256u

/* --- traceparent ------------------------------------------------------------------------------------------------- */

static int digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* Lower-case digits only. */
static bool read_hex(uint8_t *out, const uint8_t *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const int high = digit(text[2 * i]);
        const int low = digit(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t length)
{
    uint8_t all = 0;
    for (size_t i = 0; i < length; i++) {
        all |= bytes[i];
    }
    return all == 0;
}

bool mote_trace_context_parse(struct mote_trace_context *out, struct mote_slice traceparent)
{
    const uint8_t *at = traceparent.data;
    uint8_t version;
    if (traceparent.length < MOTE_TRACE_PARENT_LENGTH || !read_hex(&version, at, 1) || version == 0xff ||
        at[2] != '-' || at[35] != '-' || at[52] != '-') {
        return false;
    }
    /* Later versions may say more behind another dash. */
    if (traceparent.length > MOTE_TRACE_PARENT_LENGTH && (version == 0 || at[MOTE_TRACE_PARENT_LENGTH] != '-')) {
        return false;
    }
    if (!read_hex(out->trace_id, at + 3, sizeof out->trace_id) ||
        !read_hex(out->span_id, at + 36, sizeof out->span_id) || !read_hex(&out->flags, at + 53, 1)) {
        return false;
    }
    out->flags &= MOTE_TRACE_SAMPLED | MOTE_TRACE_RANDOM;
    return !is_zero(out->trace_id, sizeof out->trace_id) && !is_zero(out->span_id, sizeof out->span_id);
}

void mote_trace_context_format(char out[MOTE_TRACE_PARENT_LENGTH], const struct mote_trace_context *context)
{
    out[0] = '0';
    out[1] = '0';
    out[2] = '-';
    mote_hex_encode(out + 3, mote_slice(context->trace_id, sizeof context->trace_id));
    out[35] = '-';
    mote_hex_encode(out + 36, mote_slice(context->span_id, sizeof context->span_id));
    out[52] = '-';
    mote_hex_encode(out + 53, mote_slice(&context->flags, 1));
}

/* --- tracestate -------------------------------------------------------------------------------------------------- */

static bool is_key_byte(uint8_t byte, bool first)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9')) {
        return true;
    }
    return !first && (byte == '_' || byte == '-' || byte == '*' || byte == '/' || byte == '@');
}

/* key=value, with nothing around it. */
static bool is_entry(struct mote_slice entry)
{
    size_t key = 0;
    while (key < entry.length && is_key_byte(entry.data[key], key == 0)) {
        key++;
    }
    const size_t value = entry.length - key - 1;
    if (key == 0 || key > KEY_MAX || key == entry.length || entry.data[key] != '=' || value == 0 || value > VALUE_MAX) {
        return false;
    }
    for (size_t i = key + 1; i < entry.length; i++) {
        if (entry.data[i] < ' ' || entry.data[i] > '~' || entry.data[i] == '=') {
            return false;
        }
    }
    return true;
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

struct mote_slice mote_trace_state_keep(struct mote_slice tracestate)
{
    size_t kept = 0;
    size_t entries = 0;
    for (size_t at = 0; at < tracestate.length;) {
        const uint8_t *comma = memchr(tracestate.data + at, ',', tracestate.length - at);
        const size_t end = comma != NULL ? (size_t)(comma - tracestate.data) : tracestate.length;
        size_t begin = at;
        size_t stop = end;
        while (begin < stop && is_blank(tracestate.data[begin])) {
            begin++;
        }
        while (stop > begin && is_blank(tracestate.data[stop - 1])) {
            stop--;
        }
        /* Empty entries are allowed, and say nothing. */
        if (begin != stop) {
            if (++entries > ENTRIES_MAX || !is_entry(mote_slice(tracestate.data + begin, stop - begin))) {
                return mote_slice(NULL, 0);
            }
            kept = stop <= MOTE_TRACE_STATE_MAX ? stop : kept;
        }
        at = end + 1;
    }
    return kept != 0 ? mote_slice(tracestate.data, kept) : mote_slice(NULL, 0);
}
