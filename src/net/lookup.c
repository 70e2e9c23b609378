/* SPDX-License-Identifier: Apache-2.0 */
/* Two parties hold it, the thread and whoever waits; the last one frees it. The task is posted under the lock: so it is
 * never posted to a mailbox whose owner has abandoned the lookup. */
#include "net/lookup.h"

#include <pthread.h>
#include <signal.h>

#include "base/list.h"
#include "base/memory.h"

struct lookup {
    struct mote_lookup public;
    pthread_mutex_t lock;
    unsigned references;
    bool posted;
    struct mote_mailbox *mailbox; /* NULL: nobody waits */
    void (*done)(struct mote_lookup *lookup);
    struct mote_task task;
    char target[];
};

static struct lookup *lookup_of(struct mote_lookup *public)
{
    return MOTE_CONTAINER_OF(public, struct lookup, public);
}

/* Unlocks it, too. */
static void release(struct lookup *lookup)
{
    const bool last = --lookup->references == 0;
    pthread_mutex_unlock(&lookup->lock);
    if (last) {
        pthread_mutex_destroy(&lookup->lock);
        mote_mem_release(mote_mem_system(), lookup);
    }
}

static void run(struct mote_task *task)
{
    struct lookup *lookup = MOTE_CONTAINER_OF(task, struct lookup, task);
    if (lookup->mailbox != NULL) {
        lookup->done(&lookup->public);
    }
    pthread_mutex_lock(&lookup->lock);
    release(lookup);
}

static void *look_up(void *argument)
{
    struct lookup *lookup = argument;
    struct mote_lookup *public = &lookup->public;
    if (mote_address_resolve(public->addresses, MOTE_ADDRESS_RESOLVE_MAX, &public->count,
                             mote_slice_text(lookup->target), &public->problem) != 0) {
        public->count = 0;
    }
    pthread_mutex_lock(&lookup->lock);
    if (lookup->mailbox != NULL) {
        lookup->posted = true;
        lookup->mailbox->post(lookup->mailbox, &lookup->task);
    }
    release(lookup);
    return NULL;
}

/* Signals are for others. */
static int start_thread(struct lookup *lookup)
{
    pthread_t thread;
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&thread, NULL, look_up, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0 ? pthread_detach(thread) : error;
}

int mote_lookup_start(struct mote_lookup **out, const char *target, struct mote_mailbox *mailbox,
                      void (*done)(struct mote_lookup *lookup), void *user)
{
    const size_t size = strlen(target) + 1;
    struct lookup *lookup = mote_mem_allocate_zeroed(mote_mem_system(), sizeof *lookup + size);
    if (lookup == NULL) {
        return MOTE_ENOMEM;
    }
    pthread_mutex_init(&lookup->lock, NULL);
    lookup->public.user = user;
    lookup->references = 2;
    lookup->mailbox = mailbox;
    lookup->done = done;
    lookup->task.run = run;
    memcpy(lookup->target, target, size);
    *out = &lookup->public;
    if (start_thread(lookup) != 0) {
        pthread_mutex_destroy(&lookup->lock);
        mote_mem_release(mote_mem_system(), lookup);
        return MOTE_ENOMEM;
    }
    return 0;
}

void mote_lookup_abandon(struct mote_lookup *public)
{
    if (public == NULL) {
        return;
    }
    struct lookup *lookup = lookup_of(public);
    pthread_mutex_lock(&lookup->lock);
    lookup->mailbox = NULL;
    if (lookup->posted) { /* the task lets go of it */
        pthread_mutex_unlock(&lookup->lock);
    } else {
        release(lookup);
    }
}
