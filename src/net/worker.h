/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker: a thread with its own loop, pool, timers, scratch buffers, listeners and connections. Internal to net.
 *
 * A turn of the loop: what was read is parsed and answered, connection by connection, tasks from other threads run, due
 * timers fire; then, once, before the loop sleeps: connections with late output are flushed, and the services' end of
 * turn runs. Who has more to do than its share of a turn goes on in the next one.
 */
#ifndef MOTE_NET_WORKER_H
#define MOTE_NET_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/list.h"
#include "base/pool.h"
#include "base/timer_wheel.h"
#include "net/address.h"
#include "net/peers.h"
#include "net/runtime.h"
#include "net/task_queue.h"
#include "security/tls.h"
#include "telemetry/metrics.h"

#define MOTE_WORKER_SCRATCH   65536u
#define MOTE_WORKER_POOL_KEEP 1048576u /* bytes of free blocks a worker keeps for the next calls */
#define MOTE_WORKER_CIPHER_SCRATCH                                                                                     \
    (5u * MOTE_TLS_RECORD_MAX)            /* what MOTE_WORKER_SCRATCH bytes become in records, and the room one needs */
#define MOTE_WORKER_CROWD      256u       /* connections: when most of so many have gone, so does their memory */
#define MOTE_HANDSHAKES_BURST  4u         /* TLS handshakes at once: each takes milliseconds of CPU */
#define MOTE_LISTENER_RETRY_NS 100000000u /* a listener that had to stop looks so often whether it may go on */

/* A listening socket, and what it is for. */
struct mote_worker_socket {
    int fd;
    bool health_only;         /* in the clear, and serving nothing but health */
    struct mote_peers *peers; /* where its connections are counted */
};

struct mote_listener {
    uv_poll_t poll;
    struct mote_worker *worker;
    struct mote_worker_socket socket; /* owned */
    bool is_unix;
    bool is_open;
    bool waits; /* for room, or for a descriptor: not polled */
};

/* TLS handshakes that wait for their turn. */
struct mote_handshakes {
    struct mote_list waiting;
    struct mote_timer timer; /* while somebody waits */
    uint64_t interval_ns;    /* a token each */
    uint64_t counted_at;     /* tokens were counted up to this time */
    unsigned tokens;
};

struct mote_worker {
    struct mote_runtime *runtime;
    const struct mote_runtime_options *options;
    pthread_t thread;
    uv_loop_t loop;
    uv_prepare_t before_sleep;
    uv_idle_t no_sleep; /* active while somebody goes on in the next turn */
    uv_timer_t timer;
    uint64_t timer_due_ns; /* what `timer` is set to; UINT64_MAX: not set */
    struct mote_task_queue queue;
    struct mote_timer_wheel wheel;
    struct mote_timer grace;
    struct mote_timer listeners_retry;
    struct mote_pool *pool;
    struct mote_mem *parent_mem;
    struct mote_mem *mem; /* the pool's */
    struct mote_server_worker *server_worker;
    void *user;
    struct mote_metrics_shard *metrics;
    struct mote_listener listeners[MOTE_RUNTIME_LISTENERS_MAX];
    size_t listener_count;
    struct mote_list connections;
    size_t connection_count;
    size_t connection_peak;    /* since free memory was given back last */
    struct mote_list unopened; /* connections without a preface yet, the oldest first */
    size_t unopened_count;
    size_t unopened_max;     /* this worker's share */
    struct mote_list dirty;  /* connections with output to flush before the loop sleeps */
    struct mote_list paused; /* connections that had their share of this turn */
    struct mote_handshakes handshakes;
    bool draining;
    bool was_cut; /* calls were cut off when the grace ended */
    uint8_t *read_scratch;
    uint8_t *write_scratch;
    uint8_t *plain_scratch; /* both: only where the runtime has TLS */
    uint8_t *cipher_scratch;
    /* Tasks of the runtime itself; posted at most once at a time each. */
    struct mote_task drain_task;
    struct mote_task visit_task;
    atomic_bool visit_posted;
};

/* Everything but the thread: loop, pool, rpc worker, and listeners on `sockets`, which it takes whatever it returns.
 * `options` is set already. */
MOTE_MUST_CHECK int mote_worker_init(struct mote_worker *worker, struct mote_runtime *runtime, struct mote_mem *mem,
                                     const struct mote_worker_socket *sockets, size_t socket_count);
/* For a worker that never ran. */
void mote_worker_dispose(struct mote_worker *worker);
/* The thread: runs until drained, then disposes. */
void mote_worker_run(struct mote_worker *worker);
/* Any thread. */
void mote_worker_post(struct mote_worker *worker, struct mote_task *task);
/* The time, which is also told to rpc: late answers measure by it. */
uint64_t mote_worker_now(struct mote_worker *worker);

/* What new connections are to be secured with, a reference; NULL: nothing. Any thread. */
struct mote_tls_context *mote_runtime_ref_tls(struct mote_runtime *runtime);

/* --- between the parts of a worker --- */

/* Listens; takes `socket` on success. */
MOTE_MUST_CHECK int mote_listener_init(struct mote_listener *listener, struct mote_worker *worker,
                                       const struct mote_worker_socket *socket);
/* A connection ended, or time has passed: a listener that waits may try again. */
void mote_listener_resume(struct mote_listener *listener);
/* Accepts what is queued already, then closes. */
void mote_listener_drain(struct mote_listener *listener);
/* Closes at once. */
void mote_listener_close(struct mote_listener *listener);

#endif
