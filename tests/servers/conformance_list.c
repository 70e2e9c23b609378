/* SPDX-License-Identifier: Apache-2.0 */
#include "conformance_list.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>

#include "google/protobuf/any.pb.h"

static struct item *append(struct list *list, size_t length, uint8_t **bytes)
{
    struct item *item = mote_arena_allocate_zeroed(list->arena, sizeof *item + length + 1);
    if (item == NULL) {
        return NULL;
    }
    *bytes = (uint8_t *)(item + 1);
    item->value = mote_slice(*bytes, length);
    if (list->last != NULL) {
        list->last->next = item;
    } else {
        list->first = item;
    }
    list->last = item;
    list->count++;
    return item;
}

struct item *list_append(struct list *list, struct mote_slice value)
{
    uint8_t *bytes;
    struct item *item = append(list, value.length, &bytes);
    if (item != NULL && value.length != 0) {
        memcpy(bytes, value.data, value.length);
    }
    return item;
}

bool list_take_value(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    uint8_t *bytes;
    (void)field;
    return append(*arg, stream->bytes_left, &bytes) != NULL && pb_read(stream, bytes, stream->bytes_left);
}

bool list_take_any(pb_istream_t *stream, const pb_field_t *field, void **arg)
{
    struct list *list = *arg;
    struct list type_url = {.arena = list->arena};
    struct list value = {.arena = list->arena};
    google_protobuf_Any any = {
        .type_url = {.funcs.decode = list_take_value, .arg = &type_url},
        .value = {.funcs.decode = list_take_value, .arg = &value},
    };
    (void)field;
    if (!pb_decode(stream, google_protobuf_Any_fields, &any) || type_url.last == NULL) {
        return false;
    }
    uint8_t *bytes;
    struct item *item = append(list, 0, &bytes);
    if (item != NULL) {
        item->type_url = type_url.last->value;
        item->value = value.last != NULL ? value.last->value : mote_slice(bytes, 0);
    }
    return item != NULL;
}

bool list_put_slice(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct mote_slice *slice = *arg;
    return slice->length == 0 ||
           (pb_encode_tag_for_field(stream, field) && pb_encode_string(stream, slice->data, slice->length));
}

bool list_put_anys(pb_ostream_t *stream, const pb_field_t *field, void *const *arg)
{
    const struct list *list = *arg;
    for (struct item *item = list->first; item != NULL; item = item->next) {
        const google_protobuf_Any any = {
            .type_url = {.funcs.encode = list_put_slice, .arg = &item->type_url},
            .value = {.funcs.encode = list_put_slice, .arg = &item->value},
        };
        if (!pb_encode_tag_for_field(stream, field) ||
            !pb_encode_submessage(stream, google_protobuf_Any_fields, &any)) {
            return false;
        }
    }
    return true;
}
