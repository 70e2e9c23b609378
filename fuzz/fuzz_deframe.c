/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message framing (wire/message.h). Input: a byte that picks the limit, one that says which allocation fails (0: none),
 * one with the number of cuts, that many lengths of pieces (used round and round), and the rest is the wire.
 *
 * Invariants
 *  1. However the wire is cut, the messages, the error and the state at the end are those of a slow reader that sees
 *     it whole; short wires are cut in every way there is.
 *  2. Memory: never more than the limit and 16 KiB, never more than twice what was received and 256 bytes, whatever
 *     was announced; none for messages that lie whole in one piece; none left after dispose.
 *  3. A message handed out stays what it is until the next call.
 *  4. When an allocation fails the error is MOTE_ENOMEM and the messages before it are the right ones.
 *  5. What mote_message_prefix writes is what was read.
 */
#include "fuzz.h"

#include "wire/message.h"

#define ALL_CUTS_MAX 10u /* bytes of a wire that is cut in every way */

static const size_t limits[] = {0, 1, 2, 5, 127, 128, 255, 256, 1000, 4096, 16384, 65535, 65536, 4194304, UINT32_MAX};

/* What a reader of the whole wire sees: where each message begins, and how it ends. */
struct reference {
    size_t count;
    size_t good_end; /* of the last whole message */
    int error;
    bool inside;
};

static uint64_t announced(const uint8_t *prefix)
{
    return ((prefix[1] * UINT64_C(256) + prefix[2]) * 256 + prefix[3]) * 256 + prefix[4];
}

static struct reference read_slowly(struct mote_slice wire, size_t limit)
{
    struct reference seen = {0};
    size_t at = 0;
    while (wire.length - at >= 5) {
        const uint64_t length = announced(wire.data + at);
        if (length > limit) {
            seen.error = MOTE_ELIMIT;
            return seen;
        }
        if (wire.data[at] != 0 && wire.data[at] != 1) {
            seen.error = MOTE_EDECODE;
            return seen;
        }
        if (wire.length - at - 5 < length) {
            break;
        }
        at += 5 + (size_t)length;
        seen.count++;
        seen.good_end = at;
    }
    seen.inside = at != wire.length;
    return seen;
}

/* One run over a wire; the messages that came are compared with the wire as they come. */
struct run {
    struct fuzz_memory memory;
    struct mote_deframer deframer;
    struct mote_slice wire;
    size_t given; /* bytes of the wire */
    size_t compared;
    size_t count;
    int error;
    size_t limit;
};

static void check_message(struct run *run, const struct mote_message *message)
{
    uint8_t prefix[MOTE_MESSAGE_PREFIX];
    fuzz_require(mote_slice_is_present(message->body));
    fuzz_require(message->body.length <= run->limit);
    mote_message_prefix(prefix, message->compressed, (uint32_t)message->body.length);
    fuzz_require(run->wire.length - run->compared >= sizeof(prefix) + message->body.length);
    fuzz_require(memcmp(prefix, run->wire.data + run->compared, sizeof(prefix)) == 0);
    run->compared += sizeof(prefix);
    fuzz_require(mote_slice_equals(message->body, mote_slice(run->wire.data + run->compared, message->body.length)));
    run->compared += message->body.length;
    run->count++;
}

static void check_memory(const struct run *run)
{
    const size_t received = run->given > 128 ? run->given : 128;
    fuzz_require(run->memory.peak <= 3 * received); /* a buffer that grows has both, so that the old one is wiped */
    fuzz_require(run->memory.peak <= run->limit + 16384);
    fuzz_require(mote_deframer_buffered(&run->deframer) <= run->memory.held);
}

static void give(struct run *run, size_t length)
{
    const struct mote_slice piece = mote_slice(run->wire.data + run->given, length);
    uint8_t *copy = fuzz_copy(piece);
    struct mote_slice input = mote_slice(copy, length);
    bool ready = true;
    run->given += length;
    while (ready && run->error == 0) {
        struct mote_message message;
        run->error = mote_deframer_next(&run->deframer, &input, &message, &ready);
        check_memory(run);
        if (run->error == 0 && ready) {
            check_message(run, &message);
        }
    }
    fuzz_require(run->error != 0 || input.length == 0);
    free(copy);
}

static void begin(struct run *run, struct mote_slice wire, size_t limit, size_t fail_at)
{
    *run = (struct run){.wire = wire, .limit = limit};
    fuzz_memory_init(&run->memory, fail_at);
    mote_deframer_init(&run->deframer, &run->memory.mem, limit);
}

static void end(struct run *run)
{
    const struct reference seen = read_slowly(run->wire, run->limit);
    if (run->error == MOTE_ENOMEM) {
        fuzz_require(run->memory.fail_at != 0 && run->memory.calls == run->memory.fail_at);
        fuzz_require(run->count < seen.count || seen.inside || seen.error != 0);
    } else {
        fuzz_require(run->error == seen.error);
        fuzz_require(run->count == seen.count);
        fuzz_require(run->compared == seen.good_end);
        fuzz_require(run->error != 0 || mote_deframer_is_inside(&run->deframer) == seen.inside);
    }
    mote_deframer_dispose(&run->deframer);
    fuzz_require(run->memory.held == 0);
}

static void run_whole(struct mote_slice wire, size_t limit)
{
    struct run run;
    begin(&run, wire, limit, 0);
    give(&run, wire.length);
    const struct reference seen = read_slowly(wire, limit);
    const bool tail_of_body = seen.error == 0 && wire.length - seen.good_end > MOTE_MESSAGE_PREFIX;
    fuzz_require(run.memory.calls == 0 || tail_of_body);
    end(&run);
}

/* In pieces of these lengths, used round and round, each round with longer ones so that zeros come to an end. */
static void run_pieces(struct mote_slice wire, size_t limit, struct mote_slice lengths, size_t fail_at)
{
    struct run run;
    begin(&run, wire, limit, fail_at);
    for (size_t i = 0; run.given < wire.length && run.error == 0; i++) {
        const size_t left = wire.length - run.given;
        const size_t length = lengths.data[i % lengths.length] + i / lengths.length;
        give(&run, length < left ? length : left);
    }
    end(&run);
}

static void run_bytes(struct mote_slice wire, size_t limit)
{
    struct run run;
    begin(&run, wire, limit, 0);
    while (run.given < wire.length && run.error == 0) {
        give(&run, 1);
    }
    end(&run);
}

static void run_all_cuts(struct mote_slice wire, size_t limit)
{
    for (uint32_t cuts = 0; cuts < UINT32_C(1) << (wire.length - 1); cuts++) {
        struct run run;
        begin(&run, wire, limit, 0);
        size_t length = 0;
        for (size_t i = 0; i < wire.length && run.error == 0; i++) {
            length++;
            if (i + 1 == wire.length || (cuts >> i & 1) != 0) {
                give(&run, length);
                length = 0;
            }
        }
        end(&run);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mote_slice input = mote_slice(data, size);
    const size_t limit = limits[fuzz_take_byte(&input) % (sizeof(limits) / sizeof(limits[0]))];
    const size_t fail_at = fuzz_take_byte(&input);
    const struct mote_slice lengths = fuzz_take(&input, fuzz_take_byte(&input));
    run_whole(input, limit);
    run_bytes(input, limit);
    if (lengths.length != 0) {
        run_pieces(input, limit, lengths, 0);
        run_pieces(input, limit, lengths, fail_at);
    }
    if (input.length != 0 && input.length <= ALL_CUTS_MAX) {
        run_all_cuts(input, limit);
    }
    return 0;
}
