/* SPDX-License-Identifier: Apache-2.0 */
/* Written from the published description; the test has the vectors of the paper and of its reference code. */
#include "security/siphash.h"

#include <endian.h>
#include <string.h>

struct state {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline uint64_t read_word(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return le64toh(word);
}

static inline void round_once(struct state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void absorb(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    round_once(s);
    round_once(s);
    s->v0 ^= word;
}

struct mote_siphash_key mote_siphash_key_read(const uint8_t bytes[16])
{
    return (struct mote_siphash_key){.low = read_word(bytes), .high = read_word(bytes + 8)};
}

uint64_t mote_siphash(struct mote_siphash_key key, struct mote_slice data)
{
    struct state s = {
        .v0 = key.low ^ 0x736f6d6570736575u,
        .v1 = key.high ^ 0x646f72616e646f6du,
        .v2 = key.low ^ 0x6c7967656e657261u,
        .v3 = key.high ^ 0x7465646279746573u,
    };
    size_t i = 0;
    for (; data.length - i >= 8; i += 8) {
        absorb(&s, read_word(data.data + i));
    }
    uint8_t last[8] = {0};
    if (i != data.length) {
        memcpy(last, data.data + i, data.length - i);
    }
    last[7] = (uint8_t)data.length;
    absorb(&s, read_word(last));
    s.v2 ^= 0xff;
    for (unsigned i_final = 0; i_final < 4; i_final++) {
        round_once(&s);
    }
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
