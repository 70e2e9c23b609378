/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identifiers are random, not secret: each thread has a generator (xoshiro256++), seeded by the system once. A system
 * call for each few of them would cost more than all the rest of a call that is not sampled. Nor is the wall clock read
 * for each span: it is known to go as the monotonic one does for a while.
 */
#include "telemetry/tracer.h"

#include <string.h>

#define OFFSET_GOOD_NS (100 * (uint64_t)MOTE_NS_PER_MS)

struct generator {
    const struct mote_tracer *tracer; /* whose randomness it was seeded from */
    uint64_t state[4];
};

static inline uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline uint64_t next(struct generator *generator)
{
    uint64_t *state = generator->state;
    const uint64_t result = rotate(state[0] + state[3], 23) + state[0];
    const uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = rotate(state[3], 45);
    return result;
}

static __attribute__((cold, noinline)) bool seed(struct generator *generator, const struct mote_tracer *tracer)
{
    if (tracer->random->fill(tracer->random->context, generator->state, sizeof generator->state) != 0) {
        return false;
    }
    generator->state[0] |= 1; /* all zero would stay so */
    generator->tracer = tracer;
    return true;
}

/* The thread's, seeded; NULL: there is no randomness. */
static inline struct generator *generator_of(const struct mote_tracer *tracer)
{
    static _Thread_local struct generator generator;
    return generator.tracer == tracer || seed(&generator, tracer) ? &generator : NULL;
}

/* Identifiers of zeros are none. */
static inline void make_word(struct generator *generator, uint8_t *out)
{
    uint64_t word = next(generator);
    word += word == 0;
    memcpy(out, &word, sizeof word);
}

bool mote_tracer_begin(const struct mote_tracer *tracer, struct mote_trace_context *out,
                       const struct mote_trace_context *parent)
{
    struct generator *generator = generator_of(tracer);
    if (generator == NULL) {
        return false;
    }
    make_word(generator, out->span_id);
    if (parent != NULL) {
        memcpy(out->trace_id, parent->trace_id, sizeof out->trace_id);
        out->flags = parent->flags & MOTE_TRACE_RANDOM;
    } else {
        make_word(generator, out->trace_id);
        make_word(generator, out->trace_id + sizeof(uint64_t));
        out->flags = MOTE_TRACE_RANDOM;
    }
    if (mote_sampler_decide(&tracer->sampler, parent, out->trace_id)) {
        out->flags |= MOTE_TRACE_SAMPLED;
    }
    return true;
}

bool mote_tracer_begin_child(const struct mote_tracer *tracer, struct mote_trace_context *out,
                             const struct mote_trace_context *parent)
{
    struct generator *generator = generator_of(tracer);
    if (generator == NULL) {
        return false;
    }
    *out = *parent;
    make_word(generator, out->span_id);
    return true;
}

uint64_t mote_tracer_offset(const struct mote_tracer *tracer, uint64_t now_ns)
{
    static _Thread_local struct {
        const struct mote_tracer *tracer;
        uint64_t offset_ns, since_ns;
    } known;
    if (known.tracer != tracer || now_ns - known.since_ns >= OFFSET_GOOD_NS) {
        known.tracer = tracer;
        known.since_ns = now_ns;
        known.offset_ns = (uint64_t)tracer->clock->wall_ns(tracer->clock->context) - now_ns;
    }
    return known.offset_ns;
}

void mote_tracer_take(const struct mote_tracer *tracer, struct mote_span_writer *writer)
{
    (void)mote_span_queue_put(tracer->queue, mote_span_end(writer));
}

void mote_tracer_put_address(struct mote_span_writer *writer, struct mote_slice text,
                             enum mote_span_attribute_id address, enum mote_span_attribute_id port)
{
    size_t digits = 0;
    uint32_t number = 0;
    uint32_t weight = 1;
    while (digits < text.length && digits < 5 && text.data[text.length - 1 - digits] - (unsigned)'0' < 10) {
        number += weight * (text.data[text.length - 1 - digits] - (unsigned)'0');
        weight *= 10;
        digits++;
    }
    const size_t colon = text.length - digits;
    const bool has_port = digits != 0 && colon > 0 && text.data[colon - 1] == ':' && number <= 65535;
    struct mote_slice host = has_port ? mote_slice(text.data, colon - 1) : text;
    if (host.length > 2 && host.data[0] == '[' && host.data[host.length - 1] == ']') {
        host = mote_slice(host.data + 1, host.length - 2);
    }
    if (host.length != 0) {
        mote_span_put_text(writer, address, host);
        if (has_port) {
            mote_span_put_number(writer, port, number);
        }
    }
}
