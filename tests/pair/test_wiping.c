/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call leaves in memory: nothing of its messages once it is over, nothing of its credentials once its connection
 * is. All memory of both ends comes from one region that is never used twice and is searched afterwards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"
#include "pair/call_fixture.h"

#define REGION 4194304u
#define TOKEN  "Bearer correct-horse-battery-staple"
/* The request's number, which the answer repeats; as it is in memory (on the machines we know), and on the wire. */
#define NUMBER  INT64_C(0x5eC9e7b1a5bad1de)
#define ENCODED "\xde\xa3\xeb\xad\x9a\xf6\xf9\xe4\x5e"

/* --- memory that nothing is lost in ------------------------------------------------------------------------------ */

struct region {
    struct mote_mem mem;
    size_t used;
    uint8_t *bytes;
};

struct header {
    size_t size;
    size_t unused;
};

static void *region_allocate(void *context, size_t size)
{
    struct region *region = context;
    const size_t rounded = (size + 15) & ~(size_t)15;
    assert_true(rounded + sizeof(struct header) <= REGION - region->used);
    struct header *header = (struct header *)(void *)(region->bytes + region->used);
    header->size = size;
    region->used += rounded + sizeof *header;
    return header + 1;
}

static void *region_reallocate(void *context, void *pointer, size_t size)
{
    void *moved = region_allocate(context, size);
    if (pointer != NULL) {
        const size_t held = ((struct header *)pointer - 1)->size;
        memcpy(moved, pointer, held < size ? held : size);
    }
    return moved;
}

static void region_release(void *context, void *pointer)
{
    (void)context;
    (void)pointer;
}

static void region_release_wiped(void *context, void *pointer)
{
    (void)context;
    mote_mem_wipe(pointer, ((struct header *)pointer - 1)->size);
}

static void region_init(struct region *region)
{
    *region = (struct region){
        .mem = {.allocate = region_allocate,
                .reallocate = region_reallocate,
                .release = region_release,
                .release_wiped = region_release_wiped,
                .context = region},
        .bytes = calloc(1, REGION),
    };
    assert_non_null(region->bytes);
}

static bool holds(const struct region *region, const void *bytes, size_t length)
{
    return memmem(region->bytes, region->used, bytes, length) != NULL;
}

static bool holds_message(const struct region *region)
{
    static const int64_t number = NUMBER;
    return holds(region, &number, sizeof number) || holds(region, ENCODED, sizeof ENCODED - 1);
}

/* --- calls ------------------------------------------------------------------------------------------------------- */

static const struct region *watched;
static bool seen; /* the handler ran, and the search finds what is there */

static void repeat(struct mote_call *call, const void *request)
{
    const calculator_v1_AddRequest *numbers = request;
    assert_true(numbers->a == NUMBER);
    seen = holds_message(watched) && holds(watched, TOKEN, sizeof TOKEN - 1);
    mote_call_reply(call, &(calculator_v1_AddResponse){.sum = numbers->a});
}

static void note_message(struct mote_client_call *call, const void *response)
{
    (void)call;
    assert_true(((const calculator_v1_AddResponse *)response)->sum == NUMBER);
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    (void)message;
    (void)trailers;
    assert_int_equal(status, MOTE_STATUS_OK);
    *(bool *)mote_client_call_user(call) = true;
}

static void call_once(struct mote_rpc_pair *pair, unsigned flags)
{
    static const struct mote_client_call_callbacks callbacks = {.message = note_message, .ended = note_end};
    const struct mote_field token = {
        .name = mote_slice_text("authorization"), .value = mote_slice_text(TOKEN), .flags = (uint8_t)flags};
    bool ended = false;
    const struct mote_client_call_options options = {
        .method = &call_fixture_service.methods[0],
        .callbacks = &callbacks,
        .user = &ended,
        .timeout_ns = UINT64_MAX,
        .metadata = &token,
        .metadata_count = 1,
    };
    struct mote_client_call *call;
    assert_int_equal(mote_client_call_start(&call, pair->client_connection, &options, pair->now_ns), 0);
    assert_int_equal(mote_client_call_send(call, &(calculator_v1_AddRequest){.a = NUMBER}), 0);
    assert_int_equal(mote_client_call_half_close(call), 0);
    mote_rpc_pair_pump(pair);
    assert_true(ended);
}

static void check(size_t chunk, unsigned flags, bool pooled)
{
    struct region region;
    struct mote_pool *pool = NULL;
    struct call_fixture fixture;
    region_init(&region);
    watched = &region;
    seen = false;
    if (pooled) {
        assert_int_equal(mote_pool_new(&pool, &region.mem, 1048576), 0);
    }
    assert_int_equal(call_fixture_prepare(&fixture, pooled ? mote_pool_mem(pool) : &region.mem), 0);
    fixture.handler = repeat;
    fixture.pair.chunk = chunk;
    assert_int_equal(mote_rpc_pair_connect(&fixture.pair), 0);
    call_once(&fixture.pair, flags);
    assert_true(seen);
    assert_false(holds_message(&region));
    assert_true((flags & MOTE_FIELD_SENSITIVE) == 0 || !holds(&region, TOKEN, sizeof TOKEN - 1));
    call_once(&fixture.pair, flags);
    assert_false(holds_message(&region));
    mote_rpc_pair_dispose(&fixture.pair);
    assert_false(holds_message(&region));
    assert_false(holds(&region, TOKEN, sizeof TOKEN - 1));
    mote_pool_free(pool);
    free(region.bytes);
}

/* However the bytes are cut; also a token that HPACK's table keeps while the connection lasts. */
static void test_nothing_is_left(void **state)
{
    (void)state;
    static const size_t chunks[] = {1, 7, 20, 64, 65536};
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        for (unsigned variant = 0; variant < 4; variant++) {
            check(chunks[i], (variant & 1) != 0 ? MOTE_FIELD_SENSITIVE : 0, (variant & 2) != 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
