/* SPDX-License-Identifier: Apache-2.0 */
/* What the options come to on this machine: workers, memory, and the limits that follow from them. */
#ifndef MOTE_APP_EFFECTIVE_H
#define MOTE_APP_EFFECTIVE_H

#include <stddef.h>
#include <stdint.h>

#include "app/options.h"
#include "wire/limits.h"

/* Memory of an idle connection that has made a large call, with what belongs to it in the kernel's buffers left out;
 * and what TLS adds (measured: docs/performance.md). */
#define MOTE_EFFECTIVE_CONNECTION_COST 32768u
#define MOTE_EFFECTIVE_TLS_COST        32768u
/* Descriptors that are not connections: at least so many, or so many for each worker. */
#define MOTE_EFFECTIVE_DESCRIPTORS_MIN        128u
#define MOTE_EFFECTIVE_DESCRIPTORS_PER_WORKER 16u
/* Request bytes buffered for all connections, however much memory there is. */
#define MOTE_EFFECTIVE_BUFFERED_MAX (1024u * (uint64_t)MOTE_OPTION_MIB)

/* What the machine gives. */
struct mote_machine {
    size_t processors;
    uint64_t memory;
    uint64_t descriptors; /* that the process may have open */
};

struct mote_effective {
    size_t workers;
    uint64_t memory;
    struct mote_limits limits;
    const char *connections_bound; /* which setting or resource the number of connections comes from; static */
};

void mote_effective_compute(struct mote_effective *out, const struct mote_options *options,
                            const struct mote_machine *machine);
/* Asks the machine, after raising the number of descriptors to what the process may have. */
void mote_effective_measure(struct mote_machine *out);

#endif
