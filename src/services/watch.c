/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WatchUsers. A watch is a position in the store's feed of changes and a stream; nothing is queued for it. The store
 * rings when the feed has grown; then rounds are run, each in a turn of the loop of its own: the watches that stand at
 * one position, up to a bound, share one read of what follows and one message a change. A stream that does not take
 * more stays where it is in the feed and goes on when it is writable; if the feed forgets what it needs meanwhile, it
 * ends. So a watch costs its state, and what the stream may buffer.
 *
 * Whose access has ended gets nothing of a round that begins after it, and its stream ends at the next look. When the
 * store cannot be read, or cannot say who has access, the streams end with its failure: a client goes on from its last
 * token and misses nothing.
 */
#include "services/watch.h"

#include <endian.h>
#include <string.h>

#include "base/text.h"
#include "services/authenticate.h"
#include "services/convert.h"
#include "services/page_token.h"

#define TOKEN_SCOPE  MOTE_SLICE_LITERAL("WatchUsers")
#define CURSOR_BYTES 16u /* sequence, time: 8 bytes each, big endian */

_Static_assert(MOTE_PAGE_TOKEN_MAX < sizeof((user_v1_WatchUsersResponse){0}.resume_token), "every token fits");
_Static_assert(user_v1_ChangeType_CHANGE_TYPE_CREATED == MOTE_STORE_CHANGE_USER_CREATED + 1 &&
                   user_v1_ChangeType_CHANGE_TYPE_UPDATED == MOTE_STORE_CHANGE_USER_UPDATED + 1 &&
                   user_v1_ChangeType_CHANGE_TYPE_DELETED == MOTE_STORE_CHANGE_USER_DELETED + 1,
               "in the same order");

/* In the arena of its call. */
struct watch {
    struct mote_list node;
    struct mote_call *call;
    struct mote_store_read_feed read; /* of its beginning; its position is the watch's */
    uint64_t sent_ns;                 /* when the last message was sent */
};

static struct watch *watch_of(struct mote_list *node)
{
    return MOTE_CONTAINER_OF(node, struct watch, node);
}

static void move(struct watch *watch, struct mote_list *list)
{
    mote_list_remove(&watch->node);
    mote_list_append(list, &watch->node);
}

/* --- resume tokens --------------------------------------------------------------------------------------------- */

static int write_token(struct mote_services_worker *worker, char *out, struct mote_store_feed_position position)
{
    static const struct mote_slice scope = TOKEN_SCOPE;
    uint64_t cursor[2] = {htobe64((uint64_t)position.sequence), htobe64((uint64_t)position.time)};
    return mote_page_token_make(out, mote_services_worker_keyring(worker), scope, mote_slice(cursor, CURSOR_BYTES),
                                MOTE_PAGE_TOKEN_NO_END);
}

/* False: it is not one of ours. */
static bool read_token(struct mote_services_worker *worker, const char *token,
                       struct mote_store_feed_position *position)
{
    static const struct mote_slice scope = TOKEN_SCOPE;
    uint8_t bytes[MOTE_PAGE_CURSOR_MAX];
    size_t length = 0;
    uint64_t cursor[2];
    if (mote_page_token_read(bytes, &length, mote_services_worker_keyring(worker), scope, mote_slice_text(token), 0) !=
            0 ||
        length != CURSOR_BYTES) {
        return false;
    }
    memcpy(cursor, bytes, CURSOR_BYTES);
    position->sequence = (int64_t)be64toh(cursor[0]);
    position->time = (int64_t)be64toh(cursor[1]);
    return true;
}

/* --- the life of a watch --------------------------------------------------------------------------------------- */

static void leave(struct mote_services_worker *worker, struct watch *watch)
{
    struct mote_watches *watches = &worker->watches;
    mote_list_remove(&watch->node);
    watches->count--;
    if (watches->count == 0) {
        mote_timer_stop(watches->wheel, &watches->timer);
        mote_store_follow_feed(worker->session, NULL, NULL);
    }
}

static void ended(struct mote_call *call, enum mote_status status)
{
    (void)status;
    leave(mote_services_worker_of(call), mote_call_data(call));
}

/* Answering may free the watch with its call: it leaves before. */
static void end_watch(struct watch *watch, enum mote_failure_id failure)
{
    struct mote_call *call = watch->call;
    leave(mote_services_worker_of(call), watch);
    mote_failure_answer(call, failure);
}

static void end_watch_by_store(struct watch *watch, int error)
{
    struct mote_call *call = watch->call;
    leave(mote_services_worker_of(call), watch);
    if (error == MOTE_EEXPIRED) {
        mote_failure_answer(call, MOTE_FAILURE_RESUME_TOKEN_EXPIRED);
    } else {
        mote_failure_answer_store(call, error);
    }
}

/* False: its access has ended, and so has the watch. */
static bool keeps_access(struct mote_services_worker *worker, struct watch *watch)
{
    const struct mote_identity *identity = mote_call_identity(watch->call);
    enum mote_failure_id failure = MOTE_FAILURE_TOKEN_EXPIRED;
    if (identity->expires_at > mote_services_worker_seconds(worker) - worker->services->policy.leeway) {
        failure = mote_authenticate_again(worker, identity);
    }
    if (failure == MOTE_FAILURE_COUNT) {
        return true;
    }
    end_watch(watch, failure);
    return false;
}

/* After an error the call is over and the watch has left. */
static void send(struct watch *watch, const user_v1_WatchUsersResponse *response)
{
    watch->sent_ns = mote_call_now(watch->call);
    (void)!mote_call_send(watch->call, response);
}

static void send_heartbeat(struct mote_services_worker *worker, struct watch *watch)
{
    user_v1_WatchUsersResponse response = {.change_type = user_v1_ChangeType_CHANGE_TYPE_HEARTBEAT};
    int result = write_token(worker, response.resume_token, watch->read.position);
    if (result == 0) {
        send(watch, &response);
    } else {
        end_watch_by_store(watch, result);
    }
}

/* --- rounds ---------------------------------------------------------------------------------------------------- */

static void post_round(struct mote_services_worker *worker)
{
    struct mote_watches *watches = &worker->watches;
    if (!watches->is_posted && !mote_list_is_empty(&watches->waiting)) {
        watches->is_posted = true;
        worker->mailbox->post(worker->mailbox, &watches->task);
    }
}

/* The next who wait and stand where the first of them stands. */
static void gather(struct mote_services_worker *worker)
{
    struct mote_watches *watches = &worker->watches;
    const int64_t last = mote_store_feed_sequence(worker->services->store);
    unsigned looked = 0;
    MOTE_LIST_FOR_EACH_SAFE(node, following, &watches->waiting)
    {
        struct watch *watch = watch_of(node);
        if (looked++ == MOTE_WATCH_GROUP_MAX) {
            break;
        }
        const struct mote_store_feed_position *position = &watch->read.position;
        if (position->sequence >= last || !mote_call_writable(watch->call)) {
            move(watch, &watches->quiet);
        } else if (keeps_access(worker, watch)) {
            if (mote_list_is_empty(&watches->group)) {
                watches->read.position = *position;
            }
            if (position->sequence == watches->read.position.sequence) {
                move(watch, &watches->group);
            }
        }
    }
}

/* One change: the same message for all of the group. Who does not take more drops out and keeps its position. */
static void tell(struct mote_store_read_feed *read, enum mote_store_change_kind kind, const struct mote_user *user)
{
    struct mote_watches *watches = MOTE_CONTAINER_OF(read, struct mote_watches, read);
    struct mote_services_worker *worker = MOTE_CONTAINER_OF(watches, struct mote_services_worker, watches);
    user_v1_WatchUsersResponse response = {.change_type = (user_v1_ChangeType)(kind + 1), .has_user = true};
    if (kind == MOTE_STORE_CHANGE_USER_DELETED) {
        mote_uuid_format(response.user.id, user->id);
    } else {
        mote_convert_user(&response.user, user);
    }
    if (watches->result == 0) {
        watches->result = write_token(worker, response.resume_token, read->position);
    }
    if (watches->result != 0) {
        return;
    }
    MOTE_LIST_FOR_EACH_SAFE(node, following, &watches->group)
    {
        struct watch *watch = watch_of(node);
        if (mote_call_writable(watch->call)) {
            watch->read.position = read->position;
            send(watch, &response);
        } else {
            move(watch, &watches->quiet);
        }
    }
}

static void told(struct mote_store_read_feed *read, int result)
{
    struct mote_watches *watches = MOTE_CONTAINER_OF(read, struct mote_watches, read);
    struct mote_services_worker *worker = MOTE_CONTAINER_OF(watches, struct mote_services_worker, watches);
    result = result != 0 ? result : watches->result;
    MOTE_LIST_FOR_EACH_SAFE(node, following, &watches->group)
    {
        struct watch *watch = watch_of(node);
        if (result != 0) {
            end_watch_by_store(watch, result);
        } else {
            watch->read.position = read->position; /* also behind what was passed over */
            move(watch, &watches->waiting);
        }
    }
    post_round(worker);
}

static void run_round(struct mote_services_worker *worker)
{
    struct mote_watches *watches = &worker->watches;
    if (!mote_list_is_empty(&watches->group)) {
        return; /* one is under way, and goes on by itself */
    }
    gather(worker);
    if (mote_list_is_empty(&watches->group)) {
        post_round(worker);
        return;
    }
    watches->result = 0;
    watches->read.limit = MOTE_WATCH_CHANGES_MAX;
    watches->read.row = tell;
    watches->read.done = told;
    mote_store_read_feed(worker->session, &watches->read);
}

static void run_posted_round(struct mote_task *task)
{
    struct mote_watches *watches = MOTE_CONTAINER_OF(task, struct mote_watches, task);
    watches->is_posted = false;
    run_round(MOTE_CONTAINER_OF(watches, struct mote_services_worker, watches));
}

static void feed_has_grown(void *context)
{
    struct mote_services_worker *worker = context;
    struct mote_watches *watches = &worker->watches;
    while (!mote_list_is_empty(&watches->quiet)) {
        move(watch_of(watches->quiet.next), &watches->waiting);
    }
    run_round(worker);
}

static void takes_more(struct mote_call *call)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    move(mote_call_data(call), &worker->watches.waiting);
    post_round(worker);
}

/* --- looks ----------------------------------------------------------------------------------------------------- */

/* Many watches are looked at in parts, one after the other; the first of the list is the one not looked at longest. */
static void look(struct mote_timer *timer, uint64_t now_ns)
{
    struct mote_watches *watches = MOTE_CONTAINER_OF(timer, struct mote_watches, timer);
    struct mote_services_worker *worker = MOTE_CONTAINER_OF(watches, struct mote_services_worker, watches);
    const size_t parts = 1 + watches->count / MOTE_WATCH_LOOKED_MAX;
    for (size_t left = watches->count / parts + 1; left > 0 && !mote_list_is_empty(&watches->quiet); left--) {
        struct watch *watch = watch_of(watches->quiet.next);
        move(watch, &watches->quiet);
        if (keeps_access(worker, watch) && now_ns - watch->sent_ns >= MOTE_WATCH_HEARTBEAT_NS &&
            mote_call_writable(watch->call)) {
            send_heartbeat(worker, watch);
        }
    }
    if (watches->count > 0) {
        mote_timer_start(watches->wheel, timer, now_ns + MOTE_WATCH_LOOK_NS / parts);
    }
}

/* --- beginning ------------------------------------------------------------------------------------------------- */

void mote_watches_init(struct mote_watches *watches)
{
    mote_list_init(&watches->quiet);
    mote_list_init(&watches->waiting);
    mote_list_init(&watches->group);
    mote_timer_init(&watches->timer, look);
    watches->task.run = run_posted_round;
}

/* The store is followed before the watch's position is compared with it: nothing is missed in between. */
static void join(struct mote_services_worker *worker, struct watch *watch)
{
    struct mote_watches *watches = &worker->watches;
    struct mote_call *call = watch->call;
    mote_call_set_data(call, watch);
    mote_call_set_endless(call);
    mote_call_on_cancel(call, ended);
    mote_call_on_writable(call, takes_more);
    mote_list_append(&watches->waiting, &watch->node);
    watches->count++;
    if (watches->count == 1) {
        watches->wheel = mote_server_worker_wheel(mote_call_worker(call));
        mote_timer_start(watches->wheel, &watches->timer, mote_call_now(call) + MOTE_WATCH_LOOK_NS);
        mote_store_follow_feed(worker->session, feed_has_grown, worker);
    }
    post_round(worker);
    send_heartbeat(worker, watch);
}

static void refuse_token(struct mote_call *call)
{
    static const struct mote_violation violation = {.field = "resume_token",
                                                    .text = "is not one that this server has given"};
    mote_failure_answer_fields(call, &violation, 1);
}

static void position_found(struct mote_store_read_feed *read, int result)
{
    struct watch *watch = MOTE_CONTAINER_OF(read, struct watch, read);
    struct mote_call *call = watch->call;
    if (result == 0) {
        join(mote_services_worker_of(call), watch);
    } else if (result == MOTE_EEXPIRED) {
        mote_failure_answer(call, MOTE_FAILURE_RESUME_TOKEN_EXPIRED);
    } else if (result == MOTE_ENOTFOUND) {
        refuse_token(call);
    } else {
        mote_failure_answer_store(call, result);
    }
    mote_call_unref(call);
}

void user_v1_user_service_watch_users(struct mote_call *call, const user_v1_WatchUsersRequest *request)
{
    struct mote_services_worker *worker = mote_services_worker_of(call);
    struct watch *watch = mote_services_operation(call, sizeof *watch);
    if (watch == NULL) {
        return;
    }
    watch->call = call;
    watch->read.done = position_found;
    watch->read.from_end = request->resume_token[0] == '\0';
    if (!watch->read.from_end && !read_token(worker, request->resume_token, &watch->read.position)) {
        refuse_token(call);
        return;
    }
    mote_call_ref(call);
    mote_store_read_feed(worker->session, &watch->read);
}
