/* SPDX-License-Identifier: Apache-2.0 */
/* What channels see of their loop. Internal to net. */
#ifndef MOTE_NET_LOOP_CORE_H
#define MOTE_NET_LOOP_CORE_H

#include <uv.h>

#include "base/list.h"
#include "net/loop.h"
#include "net/task_queue.h"
#include "rpc/client.h"
#include "security/tls.h"
#include "wire/h2.h"

#define MOTE_LOOP_CIPHER (5u * MOTE_TLS_RECORD_MAX) /* what a scratch becomes in records, and the room one needs */

struct mote_loop {
    uv_loop_t loop;
    uv_timer_t timer;
    struct mote_task_queue queue;
    struct mote_timer_wheel wheel;
    struct mote_mem *mem;
    struct mote_limits limits;
    struct mote_client *client;
    struct mote_list dirty; /* connectors with output to flush at the end of the turn */
    size_t connectors;
    uint8_t read_scratch[MOTE_H2_RECV_MAX];
    uint8_t write_scratch[MOTE_H2_RECV_MAX];
    uint8_t plain_scratch[MOTE_H2_RECV_MAX];
    uint8_t cipher_scratch[MOTE_LOOP_CIPHER];
};

#endif
