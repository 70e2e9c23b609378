/* SPDX-License-Identifier: Apache-2.0 */
/* See log_line.h. All formats use JSON's escapes inside quotes, so that one reader understands them. */
#include "app/log_line.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/escape.h"
#include "base/clock.h"

/* Kept free for `truncated` and the line's end, in any format. */
#define RESERVE 24u

enum field {
#define X(constant, name, says) FIELD_##constant,
    MOTE_LOG_LINE_FIELD_MAP(X)
#undef X
};

static const char *const field_names[] = {
#define X(constant, name, says) [FIELD_##constant] = name,
    MOTE_LOG_LINE_FIELD_MAP(X)
#undef X
};

struct line {
    char *bytes;
    size_t length;
    size_t limit;
    bool full; /* something did not fit */
};

static void put(struct line *line, const char *bytes, size_t length)
{
    if (line->full || length > line->limit - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* --- values ------------------------------------------------------------------------------------------------------ */

/* The text without quotes around it, escaped and cut off. */
static void put_escaped(struct line *line, struct mote_slice text)
{
    const size_t limit = text.length > MOTE_LOG_VALUE_MAX ? text.length - MOTE_LOG_VALUE_MAX : 0; /* left over */
    char escaped[MOTE_ESCAPE_MAX];
    while (text.length > 0) {
        size_t length = mote_escape_next(escaped, &text, true);
        if (text.length < limit) {
            put_text(line, "\xe2\x80\xa6"); /* an ellipsis */
            return;
        }
        put(line, escaped, length);
    }
}

static void put_quoted(struct line *line, struct mote_slice text)
{
    put_text(line, "\"");
    put_escaped(line, text);
    put_text(line, "\"");
}

/* Whether logfmt's readers would take the bare value for something else. */
static bool needs_quotes(struct mote_slice text)
{
    for (size_t i = 0; i < text.length; i++) {
        uint8_t byte = text.data[i];
        if (byte <= ' ' || byte >= 0x7f || byte == '"' || byte == '=' || byte == '\\') {
            return true;
        }
    }
    return text.length == 0 || text.length > MOTE_LOG_VALUE_MAX;
}

static void put_value(struct line *line, const struct mote_log_field *field, bool always_quoted)
{
    char number[24];
    switch (field->type) {
    case MOTE_LOG_TEXT:
        if (always_quoted || needs_quotes(field->value.text)) {
            put_quoted(line, field->value.text);
        } else {
            put(line, (const char *)field->value.text.data, field->value.text.length);
        }
        return;
    case MOTE_LOG_INT:
        snprintf(number, sizeof number, "%" PRId64, field->value.integer);
        break;
    case MOTE_LOG_UINT:
        snprintf(number, sizeof number, "%" PRIu64, field->value.unsigned_integer);
        break;
    case MOTE_LOG_BOOL:
        snprintf(number, sizeof number, "%s", field->value.boolean ? "true" : "false");
        break;
    }
    put_text(line, number);
}

/* --- formats ----------------------------------------------------------------------------------------------------- */

const char *mote_log_line_level(enum mote_log_level level)
{
    switch (level) {
    case MOTE_LOG_DEBUG:
        return "debug";
    case MOTE_LOG_INFO:
        return "info";
    case MOTE_LOG_WARN:
        return "warn";
    case MOTE_LOG_ERROR:
        return "error";
    }
    return "error";
}

static void put_json_field(struct line *line, const struct mote_log_field *field)
{
    put_text(line, line->length > 1 ? "," : "");
    put_quoted(line, mote_slice_text(field->name));
    put_text(line, ":");
    put_value(line, field, true);
}

static void put_plain_field(struct line *line, const struct mote_log_field *field)
{
    put_text(line, line->length > 0 ? " " : "");
    put_text(line, field->name);
    put_text(line, "=");
    put_value(line, field, false);
}

static void put_field(struct line *line, const struct mote_log_style *style, const struct mote_log_field *field)
{
    if (style->format == MOTE_LOG_FORMAT_JSON) {
        put_json_field(line, field);
    } else {
        put_plain_field(line, field);
    }
}

/* "<6>info  net: listening": what people read first; the fields follow. */
static void put_text_head(struct line *line, const struct mote_log_style *style, const char *time,
                          const struct mote_log_record *record)
{
    static const struct {
        const char *priority, *color, *name;
    } levels[] = {
        [MOTE_LOG_DEBUG] = {"<7>", "\x1b[2m", "debug"},
        [MOTE_LOG_INFO] = {"<6>", "\x1b[32m", "info "},
        [MOTE_LOG_WARN] = {"<4>", "\x1b[33m", "warn "},
        [MOTE_LOG_ERROR] = {"<3>", "\x1b[31m", "error"},
    };
    if (style->priority) {
        put_text(line, levels[record->level].priority);
    } else {
        put_text(line, time);
        put_text(line, " ");
    }
    put_text(line, style->color ? levels[record->level].color : "");
    put_text(line, levels[record->level].name);
    put_text(line, style->color ? "\x1b[0m " : " ");
    put_text(line, record->logger);
    put_text(line, ": ");
    put_escaped(line, mote_slice_text(record->message));
}

static void put_head(struct line *line, const struct mote_log_style *style, int64_t wall_ns,
                     const struct mote_log_record *record)
{
    char time[MOTE_TIME_TEXT_SIZE];
    if (mote_time_format(time, sizeof time, wall_ns, style->format == MOTE_LOG_FORMAT_TEXT ? 3 : 6) == 0) {
        time[0] = '\0';
    }
    if (style->format == MOTE_LOG_FORMAT_TEXT) {
        put_text_head(line, style, time, record);
        return;
    }
    const struct mote_log_field head[] = {
        mote_log_text(field_names[FIELD_TIME], time),
        mote_log_text(field_names[FIELD_LEVEL], mote_log_line_level(record->level)),
        mote_log_text(field_names[FIELD_LOGGER], record->logger),
        mote_log_text(field_names[FIELD_EVENT], record->event),
        mote_log_text(field_names[FIELD_MESSAGE], record->message),
    };
    put_text(line, style->format == MOTE_LOG_FORMAT_JSON ? "{" : "");
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        put_field(line, style, &head[i]);
    }
}

size_t mote_log_line_format(char out[MOTE_LOG_LINE_MAX], const struct mote_log_style *style, int64_t wall_ns,
                            const struct mote_log_record *record, uint64_t suppressed)
{
    struct line line = {.bytes = out, .limit = MOTE_LOG_LINE_MAX - RESERVE};
    const struct mote_log_field more = mote_log_uint(field_names[FIELD_SUPPRESSED], suppressed);
    const struct mote_log_field truncated = mote_log_bool(field_names[FIELD_TRUNCATED], true);
    put_head(&line, style, wall_ns, record);
    if (suppressed > 0) {
        put_field(&line, style, &more);
    }
    for (size_t i = 0; i < record->field_count && !line.full; i++) {
        size_t before = line.length;
        put_field(&line, style, &record->fields[i]);
        line.length = line.full ? before : line.length;
    }
    line.limit = MOTE_LOG_LINE_MAX;
    if (line.full) {
        line.full = false;
        put_field(&line, style, &truncated);
    }
    put_text(&line, style->format == MOTE_LOG_FORMAT_JSON ? "}\n" : "\n");
    return line.length;
}
