/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One response for each request, in order; a file's answer carries the file and all that it imports, directly or not,
 * except what was sent on this stream before (the file asked for always comes, and comes first).
 *
 * The two services' requests are different C types: each handler reads its own into a `struct query`. Responses are
 * written by hand, once for both, straight from the static descriptors.
 */
#include "rpc/reflection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/protobuf.h"
#include "google/rpc/error_details.mote.h"
#include "google/rpc/status.mote.h"
#include "grpc/reflection/v1/reflection.mote.h"
#include "grpc/reflection/v1alpha/reflection.mote.h"
#include "rpc/core.h"

/* Field numbers of ServerReflectionRequest and ServerReflectionResponse. */
enum query_kind {
    QUERY_NONE = 0,
    QUERY_FILE = 3,
    QUERY_SYMBOL = 4,
    QUERY_EXTENSION = 5,
    QUERY_EXTENSION_NUMBERS = 6,
    QUERY_SERVICES = 7,
};

enum response_number {
    RESPONSE_VALID_HOST = 1,
    RESPONSE_ORIGINAL_REQUEST = 2,
    RESPONSE_FILES = 4,
    RESPONSE_EXTENSION_NUMBERS = 5,
    RESPONSE_SERVICES = 6,
    RESPONSE_ERROR = 7,
};

#define ERROR_TEXT_MAX 640u

struct query {
    enum query_kind kind;
    const char *host;
    const char *text; /* the name asked for: of a file, a symbol, an extended type */
    int32_t extension_number;
};

/* What a stream knows: the files there are, and which of them it has been sent. */
struct stream_state {
    size_t count;
    const struct mote_proto_file *files[MOTE_REFLECTION_FILES_MAX];
    bool sent[MOTE_REFLECTION_FILES_MAX];
};

/* --- the files ------------------------------------------------------------------------------------------------- */

static size_t index_of(const struct stream_state *state, const struct mote_proto_file *file)
{
    size_t i = 0;
    while (i < state->count && state->files[i] != file) {
        i++;
    }
    return i;
}

static bool add_file(struct stream_state *state, const struct mote_proto_file *file)
{
    if (file == NULL || index_of(state, file) < state->count) {
        return true;
    }
    if (state->count == MOTE_REFLECTION_FILES_MAX) {
        return false;
    }
    state->files[state->count++] = file;
    return true;
}

/* All files of the server, and behind them what they import. */
static bool collect_files(struct stream_state *state, const struct mote_server *server)
{
    for (size_t i = 0; i < server->service_count; i++) {
        if (!add_file(state, server->services[i].service->file)) {
            return false;
        }
    }
    for (size_t i = 0; i < server->file_count; i++) {
        if (!add_file(state, server->files[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < state->count; i++) {
        for (size_t j = 0; j < state->files[i]->dependency_count; j++) {
            if (!add_file(state, state->files[i]->dependencies[j])) {
                return false;
            }
        }
    }
    return true;
}

/* The call's state, made at its first request. NULL: the call has been failed. */
static struct stream_state *state_of(struct mote_call *call)
{
    struct stream_state *state = mote_call_make_data(call, sizeof *state);
    if (state != NULL && state->count == 0 &&
        !collect_files(state, mote_server_worker_server(mote_call_worker(call)))) {
        mote_call_fail(call, MOTE_STATUS_INTERNAL, "too many files");
        return NULL;
    }
    return state;
}

static int compare_symbol(const void *key, const void *element)
{
    return strcmp(key, *(const char *const *)element);
}

static bool defines(const struct mote_proto_file *file, const char *symbol)
{
    return file->symbol_count != 0 &&
           bsearch(symbol, file->symbols, file->symbol_count, sizeof file->symbols[0], compare_symbol) != NULL;
}

static bool extends(const struct mote_proto_file *file, const char *type, int32_t number)
{
    for (size_t i = 0; i < file->extension_count; i++) {
        if (number >= 0 && file->extensions[i].number == (uint32_t)number &&
            strcmp(file->extensions[i].extendee, type) == 0) {
            return true;
        }
    }
    return false;
}

static bool answers(const struct mote_proto_file *file, const struct query *query)
{
    switch (query->kind) {
    case QUERY_FILE:
        return strcmp(file->name, query->text) == 0;
    case QUERY_SYMBOL:
    case QUERY_EXTENSION_NUMBERS:
        return defines(file, query->text);
    case QUERY_EXTENSION:
        return extends(file, query->text, query->extension_number);
    case QUERY_SERVICES:
    case QUERY_NONE:
        return false;
    }
    return false;
}

/* The position of the first file that answers the query, or count. */
static size_t find(const struct stream_state *state, const struct query *query)
{
    size_t i = 0;
    while (i < state->count && !answers(state->files[i], query)) {
        i++;
    }
    return i;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

/* A sint32 as protobuf's int32: negative numbers take ten bytes. */
static uint64_t int32_bits(int32_t number)
{
    return (uint64_t)(int64_t)number;
}

static size_t extension_request_size(const struct query *query)
{
    return mote_protobuf_field_size(strlen(query->text)) + 1 +
           mote_protobuf_varint_size(int32_bits(query->extension_number));
}

static size_t request_size(const struct query *query)
{
    const size_t host = mote_protobuf_field_size(strlen(query->host));
    return host + mote_protobuf_field_size(query->kind == QUERY_EXTENSION ? extension_request_size(query)
                                                                          : strlen(query->text));
}

static void put_text(struct mote_protobuf *writer, unsigned number, const char *text)
{
    mote_protobuf_put_bytes(writer, number, mote_slice_text(text));
}

static void put_request(struct mote_protobuf *writer, const struct query *query)
{
    put_text(writer, 1, query->host);
    if (query->kind == QUERY_EXTENSION) {
        mote_protobuf_put_length(writer, QUERY_EXTENSION, extension_request_size(query));
        put_text(writer, 1, query->text);
        mote_protobuf_put_number(writer, 2, int32_bits(query->extension_number));
    } else {
        put_text(writer, (unsigned)query->kind, query->text);
    }
}

/* A response whose field `number` has `length` bytes, of which the last are to be written next. NULL: the call has been
 * failed. Memory of the call would stay until its end, so it is a buffer of its own. */
static bool begin_response(struct mote_call *call, struct mote_buffer *buffer, struct mote_protobuf *writer,
                           const struct query *query, enum response_number number, size_t length)
{
    const size_t request = request_size(query);
    const size_t size = mote_protobuf_field_size(strlen(query->host)) + mote_protobuf_field_size(request) +
                        mote_protobuf_field_size(length);
    uint8_t *room;
    if (mote_buffer_reserve(buffer, size, &room) != 0) {
        mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
        return false;
    }
    *writer = (struct mote_protobuf){.at = room, .room = size};
    put_text(writer, RESPONSE_VALID_HOST, query->host);
    mote_protobuf_put_length(writer, RESPONSE_ORIGINAL_REQUEST, request);
    put_request(writer, query);
    mote_protobuf_put_length(writer, (unsigned)number, length);
    mote_buffer_commit(buffer, size);
    return true;
}

static void send_response(struct mote_call *call, struct mote_buffer *buffer, const struct mote_protobuf *writer)
{
    mote_assert(writer->room == 0);
    /* After an error the call is over. */
    (void)!mote_call_send_encoded(call, mote_buffer_slice(buffer));
}

/* --- answers --------------------------------------------------------------------------------------------------- */

static void answer_error(struct mote_call *call, struct mote_buffer *buffer, const struct query *query,
                         const char *what)
{
    char text[ERROR_TEXT_MAX];
    struct mote_protobuf writer;
    const uint64_t code = MOTE_STATUS_NOT_FOUND;
    (void)snprintf(text, sizeof text, "%s not found: %s", what, query->text);
    const size_t length = 1 + mote_protobuf_varint_size(code) + mote_protobuf_field_size(strlen(text));
    if (begin_response(call, buffer, &writer, query, RESPONSE_ERROR, length)) {
        mote_protobuf_put_number(&writer, 1, code);
        put_text(&writer, 2, text);
        send_response(call, buffer, &writer);
    }
}

/* The files to send: the one asked for, then what it imports, breadth first. */
static size_t list_files(struct stream_state *state, size_t first, size_t list[MOTE_REFLECTION_FILES_MAX])
{
    bool seen[MOTE_REFLECTION_FILES_MAX] = {false};
    size_t queue[MOTE_REFLECTION_FILES_MAX];
    size_t queued = 0;
    size_t count = 0;
    queue[queued++] = first;
    seen[first] = true;
    for (size_t i = 0; i < queued; i++) {
        const struct mote_proto_file *file = state->files[queue[i]];
        if (i == 0 || !state->sent[queue[i]]) {
            list[count++] = queue[i];
            state->sent[queue[i]] = true;
        }
        for (size_t j = 0; j < file->dependency_count; j++) {
            const size_t next = index_of(state, file->dependencies[j]);
            if (!seen[next]) {
                seen[next] = true;
                queue[queued++] = next;
            }
        }
    }
    return count;
}

static void answer_files(struct mote_call *call, struct mote_buffer *buffer, struct stream_state *state,
                         const struct query *query, size_t first)
{
    size_t list[MOTE_REFLECTION_FILES_MAX];
    const size_t count = list_files(state, first, list);
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        length += mote_protobuf_field_size(state->files[list[i]]->descriptor.length);
    }
    struct mote_protobuf writer;
    if (begin_response(call, buffer, &writer, query, RESPONSE_FILES, length)) {
        for (size_t i = 0; i < count; i++) {
            mote_protobuf_put_bytes(&writer, 1, state->files[list[i]]->descriptor);
        }
        send_response(call, buffer, &writer);
    }
}

static void answer_services(struct mote_call *call, struct mote_buffer *buffer, const struct query *query)
{
    const struct mote_server *server = mote_server_worker_server(mote_call_worker(call));
    size_t length = 0;
    for (size_t i = 0; i < server->service_count; i++) {
        const size_t name = mote_protobuf_field_size(strlen(server->services[i].service->name));
        length += mote_protobuf_field_size(name);
    }
    struct mote_protobuf writer;
    if (begin_response(call, buffer, &writer, query, RESPONSE_SERVICES, length)) {
        for (size_t i = 0; i < server->service_count; i++) {
            const char *name = server->services[i].service->name;
            mote_protobuf_put_length(&writer, 1, mote_protobuf_field_size(strlen(name)));
            put_text(&writer, 1, name);
        }
        send_response(call, buffer, &writer);
    }
}

static void put_or_count_numbers(struct mote_protobuf *writer, size_t *length, const struct stream_state *state,
                                 const char *type)
{
    for (size_t i = 0; i < state->count; i++) {
        const struct mote_proto_file *file = state->files[i];
        for (size_t j = 0; j < file->extension_count; j++) {
            if (strcmp(file->extensions[j].extendee, type) != 0) {
                continue;
            }
            if (writer != NULL) {
                mote_protobuf_put_varint(writer, file->extensions[j].number);
            }
            *length += mote_protobuf_varint_size(file->extensions[j].number);
        }
    }
}

static void answer_extension_numbers(struct mote_call *call, struct mote_buffer *buffer, struct stream_state *state,
                                     const struct query *query)
{
    size_t numbers = 0;
    put_or_count_numbers(NULL, &numbers, state, query->text);
    const size_t type = mote_protobuf_field_size(strlen(query->text));
    const size_t length = type + (numbers != 0 ? mote_protobuf_field_size(numbers) : 0);
    struct mote_protobuf writer;
    if (begin_response(call, buffer, &writer, query, RESPONSE_EXTENSION_NUMBERS, length)) {
        put_text(&writer, 1, query->text);
        if (numbers != 0) {
            mote_protobuf_put_length(&writer, 2, numbers); /* packed */
            put_or_count_numbers(&writer, &numbers, state, query->text);
        }
        send_response(call, buffer, &writer);
    }
}

static void answer(struct mote_call *call, struct mote_buffer *buffer, struct stream_state *state,
                   const struct query *query)
{
    const size_t found = find(state, query);
    switch (query->kind) {
    case QUERY_NONE:
        mote_call_fail(call, MOTE_STATUS_INVALID_ARGUMENT, "invalid MessageRequest");
        return;
    case QUERY_SERVICES:
        answer_services(call, buffer, query);
        return;
    case QUERY_FILE:
    case QUERY_SYMBOL:
    case QUERY_EXTENSION:
        if (found < state->count) {
            answer_files(call, buffer, state, query, found);
        } else {
            answer_error(call, buffer, query,
                         query->kind == QUERY_FILE     ? "File"
                         : query->kind == QUERY_SYMBOL ? "Symbol"
                                                       : "Extension");
        }
        return;
    case QUERY_EXTENSION_NUMBERS:
        if (found < state->count) {
            answer_extension_numbers(call, buffer, state, query);
        } else {
            answer_error(call, buffer, query, "Type");
        }
        return;
    }
}

static void take_query(struct mote_call *call, const struct query *query)
{
    struct stream_state *state = state_of(call);
    if (state == NULL) {
        return;
    }
    struct mote_buffer buffer;
    mote_buffer_init(&buffer, mote_call_worker(call)->mem, 0);
    answer(call, &buffer, state, query);
    mote_buffer_dispose(&buffer);
    if (!mote_call_is_over(call) && !mote_call_writable(call)) {
        mote_call_on_writable(call, mote_call_resume);
        mote_call_pause(call);
    }
}

/* The two packages' requests have the same members. */
#define TAKE_REQUEST(call, request, package)                                                                           \
    do {                                                                                                               \
        struct query query = {.kind = QUERY_NONE, .host = (request)->host, .text = ""};                                \
        switch ((request)->which_message_request) {                                                                    \
        case package##_ServerReflectionRequest_file_by_filename_tag:                                                   \
            query.kind = QUERY_FILE;                                                                                   \
            query.text = (request)->message_request.file_by_filename;                                                  \
            break;                                                                                                     \
        case package##_ServerReflectionRequest_file_containing_symbol_tag:                                             \
            query.kind = QUERY_SYMBOL;                                                                                 \
            query.text = (request)->message_request.file_containing_symbol;                                            \
            break;                                                                                                     \
        case package##_ServerReflectionRequest_file_containing_extension_tag:                                          \
            query.kind = QUERY_EXTENSION;                                                                              \
            query.text = (request)->message_request.file_containing_extension.containing_type;                         \
            query.extension_number = (request)->message_request.file_containing_extension.extension_number;            \
            break;                                                                                                     \
        case package##_ServerReflectionRequest_all_extension_numbers_of_type_tag:                                      \
            query.kind = QUERY_EXTENSION_NUMBERS;                                                                      \
            query.text = (request)->message_request.all_extension_numbers_of_type;                                     \
            break;                                                                                                     \
        case package##_ServerReflectionRequest_list_services_tag:                                                      \
            query.kind = QUERY_SERVICES;                                                                               \
            query.text = (request)->message_request.list_services;                                                     \
            break;                                                                                                     \
        default:                                                                                                       \
            break;                                                                                                     \
        }                                                                                                              \
        take_query((call), &query);                                                                                    \
    } while (0)

void grpc_reflection_v1_server_reflection_server_reflection_info(
    struct mote_call *call, const grpc_reflection_v1_ServerReflectionRequest *request)
{
    if (request == NULL) {
        mote_call_finish(call);
    } else {
        TAKE_REQUEST(call, request, grpc_reflection_v1);
    }
}

void grpc_reflection_v1alpha_server_reflection_server_reflection_info(
    struct mote_call *call, const grpc_reflection_v1alpha_ServerReflectionRequest *request)
{
    if (request == NULL) {
        mote_call_finish(call);
    } else {
        TAKE_REQUEST(call, request, grpc_reflection_v1alpha);
    }
}

int mote_reflection_register(struct mote_server *server)
{
    int error = mote_server_add_service(server, &grpc_reflection_v1_ServerReflection_service, NULL);
    if (error == 0) {
        error = mote_server_add_service(server, &grpc_reflection_v1alpha_ServerReflection_service, NULL);
    }
    if (error == 0) { /* clients decode the details of errors by them */
        error = mote_server_add_file(server, &google_rpc_error_details_proto_file);
    }
    return error != 0 ? error : mote_server_add_file(server, &google_rpc_status_proto_file);
}
