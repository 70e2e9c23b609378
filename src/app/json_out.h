/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `--json` prints: one object a line, with the names of proto JSON. Every string is valid UTF-8 without control
 * characters, whatever it was made from, so it is safe on a terminal too. Errors of `out` stay in it: see ferror(3).
 */
#ifndef MOTE_APP_JSON_OUT_H
#define MOTE_APP_JSON_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct mote_json_out {
    FILE *out;
    bool any; /* a member was written */
};

void mote_json_out_begin(struct mote_json_out *json, FILE *out);
/* `name` is a literal that needs no escapes. */
void mote_json_out_text(struct mote_json_out *json, const char *name, const char *value);
void mote_json_out_texts(struct mote_json_out *json, const char *name, const char *const *values, size_t count);
void mote_json_out_number(struct mote_json_out *json, const char *name, int64_t value);
void mote_json_out_bool(struct mote_json_out *json, const char *name, bool value);
/* RFC 3339 with as many digits of the fraction (0, 3, 6 or 9) as it has. */
void mote_json_out_time(struct mote_json_out *json, const char *name, int64_t wall_ns);
void mote_json_out_end(struct mote_json_out *json);

#endif
