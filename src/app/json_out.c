/* SPDX-License-Identifier: Apache-2.0 */
/* See json_out.h. */
#include "app/json_out.h"

#include <inttypes.h>

#include "app/escape.h"
#include "base/clock.h"

static void put_string(FILE *out, const char *text)
{
    struct mote_slice rest = mote_slice_text(text);
    char escaped[MOTE_ESCAPE_MAX];
    fputc('"', out);
    while (rest.length > 0) {
        fwrite(escaped, 1, mote_escape_next(escaped, &rest, true), out);
    }
    fputc('"', out);
}

static void put_name(struct mote_json_out *json, const char *name)
{
    fprintf(json->out, "%s\"%s\":", json->any ? "," : "", name);
    json->any = true;
}

void mote_json_out_begin(struct mote_json_out *json, FILE *out)
{
    *json = (struct mote_json_out){.out = out};
    fputc('{', out);
}

void mote_json_out_text(struct mote_json_out *json, const char *name, const char *value)
{
    put_name(json, name);
    put_string(json->out, value);
}

void mote_json_out_texts(struct mote_json_out *json, const char *name, const char *const *values, size_t count)
{
    put_name(json, name);
    fputc('[', json->out);
    for (size_t i = 0; i < count; i++) {
        fputs(i > 0 ? "," : "", json->out);
        put_string(json->out, values[i]);
    }
    fputc(']', json->out);
}

void mote_json_out_number(struct mote_json_out *json, const char *name, int64_t value)
{
    put_name(json, name);
    fprintf(json->out, "%" PRId64, value);
}

void mote_json_out_bool(struct mote_json_out *json, const char *name, bool value)
{
    put_name(json, name);
    fputs(value ? "true" : "false", json->out);
}

void mote_json_out_time(struct mote_json_out *json, const char *name, int64_t wall_ns)
{
    char text[MOTE_TIME_TEXT_SIZE];
    unsigned digits = wall_ns % 1000 != 0 ? 9 : wall_ns % 1000000 != 0 ? 6 : wall_ns % 1000000000 != 0 ? 3 : 0;
    if (mote_time_format(text, sizeof text, wall_ns, digits) > 0) {
        mote_json_out_text(json, name, text);
    }
}

void mote_json_out_end(struct mote_json_out *json)
{
    fputs("}\n", json->out);
}
