/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registry: services sorted by name, their methods in a hash table by exact path, access resolved when a service is
 * added. It is filled by one thread before the first worker and only read afterwards.
 *
 * The table is keyed by paths that we registered ourselves: a peer chooses what is looked up, never what is stored, so
 * the hash needs no secret. It is open-addressed and at most half full: a look-up of anything ends at a free slot.
 */
#include "rpc/server.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "rpc/call_trace.h"
#include "rpc/core.h"

#define SLOTS_MIN 16u

static const struct mote_method other_method = {.name = "other", .path = "other"};
const struct mote_method_entry mote_server_other = {
    .path = MOTE_SLICE_LITERAL("other"),
    .method = &other_method,
    .who = MOTE_ACCESS_PUBLIC,
    .block_size = sizeof(struct mote_call),
    .single_request = true,
    .single_response = true,
};

int mote_server_new(struct mote_server **out, struct mote_mem *mem, const struct mote_server_options *options)
{
    if (options->limits == NULL || options->log == NULL || options->worker_count == 0) {
        return MOTE_EINVAL;
    }
    struct mote_server *server = mote_mem_allocate_zeroed(mem, sizeof *server);
    if (server == NULL) {
        return MOTE_ENOMEM;
    }
    server->mem = mem;
    server->options = *options;
    if (options->tracer != NULL) {
        server->options.stages[MOTE_STAGE_TRACE] = mote_call_trace_stage(options->tracer);
    }
    for (size_t i = 0; i < MOTE_STAGE_COUNT; i++) {
        server->observed = server->observed || server->options.stages[i].end != NULL;
    }
    *out = server;
    return 0;
}

void mote_server_free(struct mote_server *server)
{
    if (server == NULL) {
        return;
    }
    for (size_t i = 0; i < server->service_count; i++) {
        mote_mem_release(server->mem, server->services[i].entries);
    }
    mote_mem_release(server->mem, server->services);
    mote_mem_release(server->mem, server->files);
    mote_mem_release(server->mem, server->slots);
    mote_mem_release(server->mem, server);
}

static uint64_t read_word(const uint8_t *data)
{
    uint64_t word;
    memcpy(&word, data, sizeof word);
    return word;
}

/* Eight bytes at a time; the last eight overlap what came before. */
static uint64_t hash_path(struct mote_slice path)
{
    const uint64_t multiplier = 0x9e3779b97f4a7c15u;
    uint64_t hash = path.length * multiplier;
    if (path.length >= sizeof(uint64_t)) {
        const uint8_t *last = path.data + path.length - sizeof(uint64_t);
        for (const uint8_t *at = path.data; at < last; at += sizeof(uint64_t)) {
            hash = (hash ^ read_word(at)) * multiplier;
            hash ^= hash >> 32;
        }
        hash = (hash ^ read_word(last)) * multiplier;
    } else {
        for (size_t i = 0; i < path.length; i++) {
            hash = (hash ^ path.data[i]) * multiplier;
        }
    }
    return hash ^ hash >> 32;
}

const struct mote_method_entry *mote_server_find(const struct mote_server *server, struct mote_slice path)
{
    if (server->slot_count == 0) {
        return &mote_server_other;
    }
    const uint64_t hash = hash_path(path);
    for (size_t i = (size_t)hash;; i++) {
        const struct mote_method_slot *slot = &server->slots[i & (server->slot_count - 1)];
        if (slot->entry == NULL) {
            return &mote_server_other;
        }
        if (slot->hash == hash && mote_slice_equals(slot->entry->path, path)) {
            return slot->entry;
        }
    }
}

static void insert_entry(struct mote_method_slot *slots, size_t slot_count, const struct mote_method_entry *entry)
{
    const uint64_t hash = hash_path(entry->path);
    size_t i = (size_t)hash & (slot_count - 1);
    while (slots[i].entry != NULL) {
        i = (i + 1) & (slot_count - 1);
    }
    slots[i] = (struct mote_method_slot){.hash = hash, .entry = entry};
}

/* Room for `more` methods, keeping the table at most half full. */
static int grow_table(struct mote_server *server, size_t more)
{
    size_t wanted = SLOTS_MIN;
    while (wanted < 2 * (server->method_count + more)) {
        wanted *= 2;
    }
    if (wanted <= server->slot_count) {
        return 0;
    }
    struct mote_method_slot *slots = mote_mem_allocate_zeroed(server->mem, wanted * sizeof *slots);
    if (slots == NULL) {
        return MOTE_ENOMEM;
    }
    for (size_t i = 0; i < server->slot_count; i++) {
        if (server->slots[i].entry != NULL) {
            insert_entry(slots, wanted, server->slots[i].entry);
        }
    }
    mote_mem_release(server->mem, server->slots);
    server->slots = slots;
    server->slot_count = wanted;
    return 0;
}

/* The first service whose name is not before `name`. */
static size_t service_position(const struct mote_server *server, struct mote_slice name, bool *found)
{
    size_t low = 0;
    size_t high = server->service_count;
    *found = false;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct mote_slice other = mote_slice_text(server->services[middle].service->name);
        const size_t shorter = other.length < name.length ? other.length : name.length;
        int order = memcmp(other.data, name.data, shorter);
        if (order == 0) {
            order = other.length < name.length ? -1 : other.length > name.length;
        }
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool mote_server_has_service(const struct mote_server *server, struct mote_slice name)
{
    bool found;
    (void)service_position(server, name, &found);
    return found;
}

/* "/package.Service/Method" against a row's path, which may end in "*" for a whole service. */
static bool row_matches(const struct mote_access_row *row, struct mote_slice path)
{
    const struct mote_slice pattern = mote_slice_text(row->path);
    if (pattern.length >= 2 && pattern.data[pattern.length - 1] == '*' && pattern.data[pattern.length - 2] == '/') {
        return mote_slice_starts_with(path, mote_slice(pattern.data, pattern.length - 1));
    }
    return mote_slice_equals(pattern, path);
}

uint32_t mote_server_access(const struct mote_server *server, const char *path)
{
    if (server->options.access == NULL) {
        return MOTE_ACCESS_PUBLIC;
    }
    /* A row of the method's own goes before one of its service, wherever they stand. */
    uint32_t of_service = 0;
    for (size_t i = 0; i < server->options.access_count; i++) {
        const struct mote_access_row *row = &server->options.access[i];
        if (strcmp(row->path, path) == 0) {
            return row->who;
        }
        if (row_matches(row, mote_slice_text(path))) {
            of_service = row->who;
        }
    }
    return of_service;
}

static void entry_init(const struct mote_server *server, struct mote_method_entry *entry,
                       const struct mote_service *service, const struct mote_method *method, void *context)
{
    const uint64_t bound = method->request_max != 0 ? method->request_max : server->options.limits->message_receive_max;
    *entry = (struct mote_method_entry){
        .path = mote_slice_text(method->path),
        .method = method,
        .service = service,
        .context = context,
        .who = mote_server_access(server, method->path),
        .message_max = bound < UINT32_MAX ? (uint32_t)bound : UINT32_MAX,
        .request_inline = method->request->size <= MOTE_CALL_INLINE_MAX,
        .single_request = method->kind == MOTE_CALL_UNARY || method->kind == MOTE_CALL_SERVER_STREAM,
        .single_response = method->kind == MOTE_CALL_UNARY || method->kind == MOTE_CALL_CLIENT_STREAM,
    };
    entry->block_size = (uint32_t)(sizeof(struct mote_call) + (entry->request_inline ? method->request->size : 0));
}

int mote_server_add_service(struct mote_server *server, const struct mote_service *service, void *context)
{
    bool found;
    const size_t position = service_position(server, mote_slice_text(service->name), &found);
    if (found) {
        return MOTE_EEXISTS;
    }
    int error = grow_table(server, service->method_count);
    if (error != 0) {
        return error;
    }
    const size_t count = server->service_count;
    struct mote_registered_service *services =
        mote_mem_reallocate(server->mem, server->services, (count + 1) * sizeof *services);
    if (services == NULL) {
        return MOTE_ENOMEM;
    }
    server->services = services;
    struct mote_method_entry *entries = mote_mem_allocate(server->mem, (service->method_count + 1) * sizeof *entries);
    if (entries == NULL) {
        return MOTE_ENOMEM;
    }
    for (size_t i = 0; i < service->method_count; i++) {
        entry_init(server, &entries[i], service, &service->methods[i], context);
        entries[i].index = (uint32_t)(server->method_count + i + 1);
        insert_entry(server->slots, server->slot_count, &entries[i]);
    }
    server->method_count += service->method_count;
    memmove(&services[position + 1], &services[position], (count - position) * sizeof *services);
    services[position] = (struct mote_registered_service){.service = service, .entries = entries};
    server->service_count = count + 1;
    return 0;
}

int mote_server_add_file(struct mote_server *server, const struct mote_proto_file *file)
{
    const struct mote_proto_file **files =
        mote_mem_reallocate(server->mem, server->files, (server->file_count + 1) * sizeof *files);
    if (files == NULL) {
        return MOTE_ENOMEM;
    }
    files[server->file_count++] = file;
    server->files = files;
    return 0;
}

static bool row_is_used(const struct mote_server *server, const struct mote_access_row *row)
{
    for (size_t i = 0; i < server->service_count; i++) {
        const struct mote_registered_service *registered = &server->services[i];
        for (size_t j = 0; j < registered->service->method_count; j++) {
            if (row_matches(row, registered->entries[j].path)) {
                return true;
            }
        }
    }
    return false;
}

int mote_server_check(const struct mote_server *server)
{
    int error = 0;
    for (size_t i = 0; server->options.access != NULL && i < server->options.access_count; i++) {
        const struct mote_access_row *row = &server->options.access[i];
        if (!row_is_used(server, row)) {
            mote_log(server->options.log, MOTE_LOG_ERROR, "rpc", "rpc.access_row_unknown",
                     "a row of the access table names nothing registered", mote_log_text("path", row->path));
            error = MOTE_EINVAL;
        }
    }
    return error;
}

const struct mote_service *mote_server_service_at(const struct mote_server *server, size_t index)
{
    return index < server->service_count ? server->services[index].service : NULL;
}

size_t mote_server_method_index(const struct mote_server *server, const char *path)
{
    return mote_server_find(server, mote_slice_text(path))->index;
}
