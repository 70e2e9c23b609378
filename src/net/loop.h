/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A loop for outgoing channels (net/channel.h): timers, tasks of other threads, and the memory that its channels share.
 * It runs on one thread, which is the one that may use it, but for mote_loop_post.
 */
#ifndef MOTE_NET_LOOP_H
#define MOTE_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "../base/error.h"
#include "../base/linkage.h"
#include "../base/memory.h"
#include "../base/task.h"
#include "../base/timer_wheel.h"
#include "../wire/limits.h"

MOTE_C_BEGIN

struct mote_loop;

/* `limits` of the channels, copied; NULL: the defaults. */
MOTE_MUST_CHECK int mote_loop_new(struct mote_loop **out, struct mote_mem *mem, const struct mote_limits *limits);
/* All channels have been closed. */
void mote_loop_free(struct mote_loop *loop);

/* Runs until *done, which a callback or a task sets; false when the time is over before. UINT64_MAX: no time limit. */
bool mote_loop_run(struct mote_loop *loop, const bool *done, uint64_t timeout_ns);
uint64_t mote_loop_now(const struct mote_loop *loop);
/* For timers of its user; they are stopped before it is freed. */
struct mote_timer_wheel *mote_loop_wheel(struct mote_loop *loop);
struct mote_mailbox *mote_loop_mailbox(struct mote_loop *loop);
/* Any thread. */
void mote_loop_post(struct mote_loop *loop, struct mote_task *task);

MOTE_C_END

#endif
