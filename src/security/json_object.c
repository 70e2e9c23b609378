/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See json_object.h. Values may be passwords, and jansson moves them about while it reads. So what it gives back is
 * wiped, from the first use on in all of the program: only commands read such objects, and they have nothing to hurry.
 */
#include "security/json_object.h"

#include <jansson.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "security/secret.h"

static void release(void *memory)
{
    if (memory != NULL) {
        mote_secret_wipe(memory, malloc_usable_size(memory));
        free(memory);
    }
}

/* The text of a value that is no array; `number` is room for it. NULL for a kind that has none. */
static const char *text_of(const json_t *value, char number[24])
{
    if (json_is_string(value)) {
        return json_string_value(value);
    }
    if (json_is_boolean(value)) {
        return json_is_true(value) ? "true" : "false";
    }
    if (json_is_integer(value)) {
        snprintf(number, 24, "%lld", (long long)json_integer_value(value));
        return number;
    }
    return NULL;
}

static const char *join(const json_t *array, char out[MOTE_JSON_OBJECT_TEXT_MAX])
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < json_array_size(array); i++) {
        char number[24];
        const char *text = text_of(json_array_get(array, i), number);
        int added = text != NULL
                        ? snprintf(out + length, MOTE_JSON_OBJECT_TEXT_MAX - length, "%s%s", i > 0 ? "," : "", text)
                        : -1;
        if (added < 0 || (size_t)added >= MOTE_JSON_OBJECT_TEXT_MAX - length) {
            return NULL;
        }
        length += (size_t)added;
    }
    return out;
}

static int hand_out(json_t *value, const char *name, int (*each)(void *context, const char *name, const char *value),
                    void *context)
{
    char room[MOTE_JSON_OBJECT_TEXT_MAX];
    if (json_is_null(value)) {
        return 0;
    }
    const char *text = json_is_array(value) ? join(value, room) : text_of(value, room);
    int result = text != NULL ? each(context, name, text) : MOTE_EDECODE;
    mote_secret_wipe(room, sizeof room);
    return result;
}

int mote_json_object_each(struct mote_slice json, int (*each)(void *context, const char *name, const char *value),
                          void *context)
{
    json_error_t error;
    json_set_alloc_funcs(malloc, release);
    json_t *object = json_loadb((const char *)json.data, json.length, JSON_REJECT_DUPLICATES, &error);
    if (object == NULL) {
        bool no_memory = json_error_code(&error) == json_error_out_of_memory;
        mote_secret_wipe(&error, sizeof error); /* its text is of the input */
        return no_memory ? MOTE_ENOMEM : MOTE_EDECODE;
    }
    const char *name;
    json_t *value;
    int result = json_is_object(object) ? 0 : MOTE_EDECODE;
    json_object_foreach(object, name, value)
    {
        if (result == 0) {
            result = hand_out(value, name, each, context);
        }
    }
    json_decref(object);
    return result;
}
