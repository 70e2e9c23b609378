/* SPDX-License-Identifier: Apache-2.0 */
#include "flow.h"

#include <mote/base/list.h>
#include <mote/rpc/server.h>

static struct mote_timer_wheel *wheel_of(struct mote_call *call)
{
    return mote_server_worker_wheel(mote_call_worker(call));
}

static void on_cancel(struct mote_call *call, enum mote_status status)
{
    (void)status;
    flow_end(mote_call_data(call));
}

static void on_writable(struct mote_call *call)
{
    flow_go_on(mote_call_data(call));
}

static void on_time(struct mote_timer *timer, uint64_t now_ns)
{
    struct flow *flow = MOTE_CONTAINER_OF(timer, struct flow, timer);
    mote_server_worker_set_now(mote_call_worker(flow->call), now_ns);
    flow_go_on(flow);
}

void *flow_of(struct mote_call *call, size_t size, void (*step)(struct flow *flow))
{
    struct flow *flow = mote_call_data(call);
    if (flow == NULL) {
        flow = mote_arena_allocate_zeroed(mote_call_arena(call), size);
        if (flow == NULL) {
            mote_call_fail(call, MOTE_STATUS_RESOURCE_EXHAUSTED, "out of memory");
            return NULL;
        }
        flow->call = call;
        flow->step = step;
        mote_timer_init(&flow->timer, on_time);
        mote_call_set_data(call, flow);
        mote_call_on_cancel(call, on_cancel);
        mote_call_on_writable(call, on_writable);
    }
    return flow;
}

void flow_go_on(struct flow *flow)
{
    if (flow->over || flow->timer.active) {
        return;
    }
    if (!flow->held) {
        flow->held = true;
        mote_call_ref(flow->call);
    }
    flow->step(flow);
}

void flow_wait(struct flow *flow, uint64_t duration_ns)
{
    mote_timer_start(wheel_of(flow->call), &flow->timer, mote_call_now(flow->call) + duration_ns);
}

void flow_end(struct flow *flow)
{
    flow->over = true;
    if (flow->held) {
        flow->held = false;
        mote_timer_stop(wheel_of(flow->call), &flow->timer);
        mote_call_unref(flow->call);
    }
}
