/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that goes on after its handler has returned: it is held, and its next step runs when the client can take more,
 * or at a time. The first member of a struct that is the call's data and lies in its arena.
 */
#ifndef MOTE_TESTS_SERVERS_FLOW_H
#define MOTE_TESTS_SERVERS_FLOW_H

#include <mote/base/timer_wheel.h>
#include <mote/rpc/call.h>

struct flow {
    struct mote_call *call;
    bool held; /* there is a reference to the call: from the first flow_go_on to the end */
    bool over;
    struct mote_timer timer;
    void (*step)(struct flow *flow);
};

/* The call's flow, made with `size` zeroed bytes at the first use; NULL: the call has been failed. Also while a request
 * is being prepared. */
void *flow_of(struct mote_call *call, size_t size, void (*step)(struct flow *flow));
/* Runs the step, unless it waits for its time. From a handler. */
void flow_go_on(struct flow *flow);
/* Runs the step after `duration_ns`, and not before. */
void flow_wait(struct flow *flow, uint64_t duration_ns);
/* After the call's answer. */
void flow_end(struct flow *flow);

#endif
