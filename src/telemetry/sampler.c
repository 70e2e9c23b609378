/* SPDX-License-Identifier: Apache-2.0 */
#include "telemetry/sampler.h"

#define ALL (UINT64_C(1) << 56)

bool mote_sampler_find(struct mote_sampler *out, const char *name, double ratio)
{
    static const char parent_based[] = "parentbased_";
    const struct mote_slice prefix = mote_slice(parent_based, sizeof parent_based - 1);
    const bool follows = mote_slice_starts_with(mote_slice_text(name), prefix);
    name += follows ? prefix.length : 0;
    out->follows_parent = follows;
    if (strcmp(name, "always_on") == 0) {
        out->threshold = ALL;
    } else if (strcmp(name, "always_off") == 0) {
        out->threshold = 0;
    } else if (strcmp(name, "traceidratio") == 0) {
        out->threshold = (uint64_t)(ratio * (double)ALL);
    } else {
        return false;
    }
    return true;
}

bool mote_sampler_decide(const struct mote_sampler *sampler, const struct mote_trace_context *parent,
                         const uint8_t trace_id[MOTE_TRACE_ID_LENGTH])
{
    if (sampler->follows_parent && parent != NULL) {
        return (parent->flags & MOTE_TRACE_SAMPLED) != 0;
    }
    uint64_t value; /* big-endian, its first byte not among those that count */
    memcpy(&value, trace_id + MOTE_TRACE_ID_LENGTH - sizeof value, sizeof value);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    return (value & (ALL - 1)) < sampler->threshold;
}
