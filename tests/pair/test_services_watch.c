/* SPDX-License-Identifier: Apache-2.0 */
/* WatchUsers under a clock that only the test moves: heartbeats, resume tokens, the end of access, readers that stop,
 * a store that fails or forgets. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <unistd.h>

#include "base/list.h"
#include "pair/peer.h"
#include "pair/services_fixture.h"
#include "services/page_token.h"
#include "support/failing_mem.h"
#include "support/fault_vfs.h"

#define PASSWORD "correct horse battery"
#define SECOND   ((uint64_t)MOTE_NS_PER_SECOND)
#define TYPE(x)  user_v1_ChangeType_CHANGE_TYPE_##x
#define KEPT     2048u
#define MESSAGE  200u /* bytes of a change, at least */

/* What came on a stream. */
struct watcher {
    struct services_answer *answer;
    unsigned heartbeats, changes;
    user_v1_WatchUsersResponse last;
    struct {
        user_v1_ChangeType type;
        unsigned number; /* of "user<number>", 0: without a name */
    } kept[KEPT];
};

struct environment {
    struct services_fixture fixture;
    struct services_tokens admin;
    struct watcher watchers[4];
    unsigned users;
    char folder[32];
    char url[64];
};

static int set_up_with(void **state, struct mote_mem *connection_mem)
{
    struct environment *environment = calloc(1, sizeof *environment);
    struct services_fixture *fixture = &environment->fixture;
    snprintf(environment->folder, sizeof environment->folder, "/tmp/mote-watch-XXXXXX");
    assert_non_null(mkdtemp(environment->folder));
    snprintf(environment->url, sizeof environment->url, "sqlite:%s/mote.db", environment->folder);
    services_open(fixture, &(struct services_options){.url = environment->url, .connection_mem = connection_mem});
    services_make_user(fixture, "admin", MOTE_ROLE_BIT_ADMIN, PASSWORD, NULL);
    services_login(fixture, "admin", PASSWORD, &environment->admin);
    *state = environment;
    return 0;
}

static int set_up(void **state)
{
    return set_up_with(state, NULL);
}

static int tear_down(void **state)
{
    struct environment *environment = *state;
    static const char *const names[] = {"", "-wal", "-shm", ".lock"};
    fault_vfs_heal();
    services_close(&environment->fixture);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/mote.db%s", environment->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(environment->folder), 0);
    free(environment);
    return 0;
}

/* --- doing things ------------------------------------------------------------------------------------------------ */

static void take_message(struct services_answer *answer, const void *message)
{
    struct watcher *watcher = answer->user;
    watcher->last = *(const user_v1_WatchUsersResponse *)message;
    assert_true(watcher->last.resume_token[0] != '\0');
    if (watcher->last.change_type == TYPE(HEARTBEAT)) {
        assert_false(watcher->last.has_user);
        watcher->heartbeats++;
        return;
    }
    assert_true(watcher->last.has_user && watcher->changes < KEPT);
    watcher->kept[watcher->changes].type = watcher->last.change_type;
    (void)sscanf(watcher->last.user.username, "user%u", &watcher->kept[watcher->changes].number);
    watcher->changes++;
}

/* Turns of the loop until nothing moves, under bytes and tasks. */
static void settle(struct environment *environment)
{
    for (unsigned i = 0; i < 40; i++) {
        services_turn(&environment->fixture, false);
        usleep(i < 4 ? 500 : 0); /* the writer rings before it answers: little is on its way */
    }
}

static struct watcher *watch(struct environment *environment, size_t index, const char *resume_token,
                             const char *access_token)
{
    struct watcher *watcher = &environment->watchers[index];
    user_v1_WatchUsersRequest request = {.resume_token = ""};
    snprintf(request.resume_token, sizeof request.resume_token, "%s", resume_token);
    memset(watcher, 0, sizeof *watcher);
    watcher->answer = services_start(&environment->fixture, 40 + index, &user_v1_UserService_WatchUsers_method,
                                     &request, access_token);
    watcher->answer->on_message = take_message;
    watcher->answer->user = watcher;
    settle(environment);
    return watcher;
}

/* Both clocks, a second at a time. */
static void pass(struct environment *environment, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        services_pass(&environment->fixture, 1);
        mote_rpc_pair_pass(&environment->fixture.pair, SECOND);
        services_turn(&environment->fixture, false);
    }
}

static void ignore_done(struct mote_store_write *write)
{
    struct mote_store_create_user *create = MOTE_CONTAINER_OF(write, struct mote_store_create_user, write);
    assert_int_equal(write->result, 0);
    create->user.id[0] = 0;
}

/* In few commits; turns of the loop go on meanwhile. */
static void create_users(struct environment *environment, unsigned count)
{
    struct services_fixture *fixture = &environment->fixture;
    struct mote_store_create_user *creates = calloc(count, sizeof *creates);
    struct mote_store_session *session;
    assert_int_equal(mote_store_session_open(&session, fixture->store, &fixture->mailbox), 0);
    for (unsigned i = 0; i < count; i++) {
        struct mote_store_create_user *create = &creates[i];
        const unsigned number = ++environment->users;
        create->write.kind = MOTE_STORE_CREATE_USER;
        create->write.now = fixture->wall_ns;
        create->write.done = ignore_done;
        create->user.id[0] = 1;
        create->user.id[8] = (uint8_t)(number >> 8);
        create->user.id[9] = (uint8_t)number;
        create->user.roles = MOTE_ROLE_BIT_USER;
        create->user.state = MOTE_USER_ACTIVE;
        snprintf(create->user.username, sizeof create->user.username, "user%u", number);
        memset(create->user.display_name, 'n', 100);
        assert_int_equal(mote_store_submit(session, &create->write), 0);
    }
    for (unsigned i = 0; i < count; i++) {
        for (unsigned turns = 0; creates[i].user.id[0] != 0; turns++) {
            assert_true(turns < 20000);
            services_turn(fixture, false);
            usleep(1000);
        }
    }
    settle(environment);
    mote_store_session_close(session);
    free(creates);
}

static void run_sql(const struct environment *environment, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(environment->url + strlen("sqlite:"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* user<first> to user<last>, each created, and nothing else. */
static void assert_created(const struct watcher *watcher, unsigned first, unsigned last)
{
    assert_int_equal(watcher->changes, last + 1 - first);
    for (unsigned i = 0; i < watcher->changes; i++) {
        assert_int_equal(watcher->kept[i].type, TYPE(CREATED));
        assert_int_equal(watcher->kept[i].number, first + i);
    }
}

static void make_service(struct environment *environment, const char *name, struct services_tokens *tokens)
{
    services_make_user(&environment->fixture, name, MOTE_ROLE_BIT_SERVICE, PASSWORD, NULL);
    services_login(&environment->fixture, name, PASSWORD, tokens);
}

/* --- tests ------------------------------------------------------------------------------------------------------- */

static void test_heartbeats(void **state)
{
    struct environment *environment = *state;
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    assert_int_equal(watcher->heartbeats, 1); /* at once: the stream is live */
    char first[513];
    snprintf(first, sizeof first, "%s", watcher->last.resume_token);
    pass(environment, 29);
    assert_int_equal(watcher->heartbeats, 1);
    pass(environment, 4);
    assert_int_equal(watcher->heartbeats, 2);
    assert_string_equal(watcher->last.resume_token, first); /* nothing has happened */
    pass(environment, 20);
    create_users(environment, 1);
    assert_int_equal(watcher->changes, 1);
    pass(environment, 28); /* a change is a sign of life too */
    assert_int_equal(watcher->heartbeats, 2);
    pass(environment, 5);
    assert_int_equal(watcher->heartbeats, 3);
    assert_string_not_equal(watcher->last.resume_token, first);
    assert_false(watcher->answer->done);
    /* The token of a heartbeat leads on. */
    struct watcher *second = watch(environment, 1, watcher->last.resume_token, environment->admin.access);
    create_users(environment, 1);
    assert_created(second, 2, 2);
    assert_created(watcher, 1, 2);
}

/* What changes is told as it is, to all, the caller's own among them; what is passed over moves the token on. */
static void test_changes(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    struct watcher *second = watch(environment, 1, "", environment->admin.access);
    user_v1_UpdateUserRequest update = {.has_user = true};
    uint8_t id[16];
    services_make_user(fixture, "alice", MOTE_ROLE_BIT_USER, PASSWORD, id);
    settle(environment);
    assert_int_equal(watcher->last.change_type, TYPE(CREATED));
    assert_string_equal(watcher->last.user.email, "alice@Example.org");
    memcpy(update.user.id, watcher->last.user.id, sizeof update.user.id);
    snprintf(update.user.display_name, sizeof update.user.display_name, "Alice");
    struct services_answer *answer =
        services_call(fixture, &user_v1_UserService_UpdateUser_method, &update, environment->admin.access);
    const user_v1_UpdateUserResponse *updated = (const user_v1_UpdateUserResponse *)(const void *)answer->response;
    settle(environment);
    assert_int_equal(watcher->last.change_type, TYPE(UPDATED));
    assert_memory_equal(&watcher->last.user, &updated->user, sizeof updated->user);
    struct services_tokens tokens;
    services_login(fixture, "alice", PASSWORD, &tokens); /* no change */
    user_v1_DeleteUserRequest removal = {.id = ""};
    memcpy(removal.id, update.user.id, sizeof removal.id);
    services_call(fixture, &user_v1_UserService_DeleteUser_method, &removal, environment->admin.access);
    settle(environment);
    const user_v1_User *user = &watcher->last.user;
    assert_int_equal(watcher->last.change_type, TYPE(DELETED));
    assert_string_equal(user->id, update.user.id);
    assert_true(user->username[0] == '\0' && user->etag[0] == '\0' && user->roles_count == 0 && !user->has_create_time);
    assert_int_equal(watcher->changes, 3);
    assert_int_equal(second->changes, 3);
    assert_string_equal(second->last.resume_token, watcher->last.resume_token);
    assert_false(watcher->answer->done || second->answer->done);
}

static void test_resume(void **state)
{
    struct environment *environment = *state;
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    create_users(environment, 10);
    assert_created(watcher, 1, 10);
    char token[513];
    snprintf(token, sizeof token, "%s", watcher->last.resume_token);
    create_users(environment, 100); /* more than one read */
    struct watcher *second = watch(environment, 1, token, environment->admin.access);
    settle(environment);
    assert_created(second, 11, 110);
    assert_int_equal(second->heartbeats, 1);
    assert_created(watcher, 1, 110);
    assert_string_equal(second->last.resume_token, watcher->last.resume_token);
    create_users(environment, 1);
    assert_created(second, 11, 111);
    /* It has no end by time, and outlives the process. */
    services_close(&environment->fixture);
    services_open(&environment->fixture, &(struct services_options){.url = environment->url});
    pass(environment, 1);
    services_pass(&environment->fixture, 40 * 86400);
    services_login(&environment->fixture, "admin", PASSWORD, &environment->admin);
    struct watcher *third = watch(environment, 2, token, environment->admin.access);
    settle(environment);
    assert_created(third, 11, 111);
}

static void test_bad_tokens(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    static const uint8_t cursor[24];
    char of_list[MOTE_PAGE_TOKEN_MAX + 1];
    char short_one[MOTE_PAGE_TOKEN_MAX + 1];
    char to_come[MOTE_PAGE_TOKEN_MAX + 1];
    char before[513];
    static const uint8_t number_9[16] = {[7] = 9};
    struct mote_keyring *keyring = fixture->keyring;
    const struct mote_slice scope = mote_slice_text("WatchUsers");
    assert_int_equal(mote_page_token_make(of_list, keyring, mote_slice_text("ListUsers create_time"),
                                          mote_slice(cursor, 16), MOTE_PAGE_TOKEN_NO_END),
                     0);
    assert_int_equal(mote_page_token_make(short_one, keyring, scope, mote_slice(cursor, 24), MOTE_PAGE_TOKEN_NO_END),
                     0);
    assert_int_equal(mote_page_token_make(to_come, keyring, scope, mote_slice(number_9, 16), MOTE_PAGE_TOKEN_NO_END),
                     0);
    const char *const bad[] = {"x", "AAAA", of_list, short_one, to_come};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct watcher *watcher = watch(environment, 0, bad[i], environment->admin.access);
        assert_true(watcher->answer->done && services_names(watcher->answer, "resume_token"));
        assert_int_equal(watcher->heartbeats, 0);
    }
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    snprintf(before, sizeof before, "%s", watcher->last.resume_token);
    create_users(environment, 2);
    /* What is behind it has been forgotten. */
    run_sql(environment, "DELETE FROM feed WHERE sequence <= 2");
    watcher = watch(environment, 1, before, environment->admin.access);
    assert_true(services_failed(watcher->answer, MOTE_STATUS_OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"));
    assert_int_equal(watcher->heartbeats, 0);
    /* As after a store that was set back: the numbers are others' now. */
    snprintf(before, sizeof before, "%s", environment->watchers[0].last.resume_token);
    run_sql(environment, "UPDATE feed SET time = time + 1 WHERE sequence = 3");
    watcher = watch(environment, 1, before, environment->admin.access);
    assert_true(services_names(watcher->answer, "resume_token"));
}

/* Five seconds at most; and nothing that was changed after the access had ended is told. */
static void assert_ends(struct environment *environment, struct watcher *watcher, const char *reason)
{
    unsigned before = watcher->changes;
    create_users(environment, 1);
    assert_int_equal(watcher->changes, before);
    for (unsigned i = 0; i < 5 && !watcher->answer->done; i++) {
        pass(environment, 1);
    }
    assert_true(watcher->answer->done && services_failed(watcher->answer, MOTE_STATUS_UNAUTHENTICATED, reason));
    assert_int_equal(watcher->changes, before);
}

static void test_access_ends(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct services_tokens alice;
    const char *admin = environment->admin.access;
    struct watcher *other = watch(environment, 3, "", admin);
    user_v1_UpdateUserRequest update = {.has_user = true};
    user_v1_DisableUserRequest disable = {.id = ""};
    user_v1_EnableUserRequest enable = {.id = ""};
    user_v1_DeleteUserRequest removal = {.id = ""};
    const auth_v1_LogoutRequest logout = {0};
    make_service(environment, "alice", &alice);
    /* The session. */
    struct watcher *watcher = watch(environment, 0, "", alice.access);
    assert_int_equal(watcher->heartbeats, 1);
    services_call(fixture, &auth_v1_AuthService_Logout_method, &logout, alice.access);
    assert_ends(environment, watcher, "SESSION_REVOKED");
    /* The role: the session lives, a fresh token would say what it may. */
    services_login(fixture, "alice", PASSWORD, &alice);
    watcher = watch(environment, 0, "", alice.access);
    memcpy(update.user.id, alice.user_id, 37);
    update.user.roles_count = 1;
    update.user.roles[0] = user_v1_Role_ROLE_USER;
    assert_int_equal(services_call(fixture, &user_v1_UserService_UpdateUser_method, &update, admin)->status,
                     MOTE_STATUS_OK);
    assert_ends(environment, watcher, "TOKEN_STALE");
    update.user.roles[0] = user_v1_Role_ROLE_SERVICE;
    services_call(fixture, &user_v1_UserService_UpdateUser_method, &update, admin);
    /* The account. */
    services_login(fixture, "alice", PASSWORD, &alice);
    watcher = watch(environment, 0, "", alice.access);
    memcpy(disable.id, alice.user_id, 37);
    services_call(fixture, &user_v1_UserService_DisableUser_method, &disable, admin);
    assert_ends(environment, watcher, "SESSION_REVOKED");
    memcpy(enable.id, alice.user_id, 37);
    services_call(fixture, &user_v1_UserService_EnableUser_method, &enable, admin);
    services_login(fixture, "alice", PASSWORD, &alice);
    watcher = watch(environment, 0, "", alice.access);
    memcpy(removal.id, alice.user_id, 37);
    services_call(fixture, &user_v1_UserService_DeleteUser_method, &removal, admin);
    assert_ends(environment, watcher, "SESSION_REVOKED");
    assert_false(other->answer->done);
    assert_int_equal(other->changes, 10);
}

/* To the second of its leeway, and the time between two looks. */
static void test_token_expires(void **state)
{
    struct environment *environment = *state;
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    pass(environment, 900 + 29);
    assert_false(watcher->answer->done);
    assert_in_range(watcher->heartbeats, 29, 31);
    pass(environment, 1 + 3);
    assert_true(services_failed(watcher->answer, MOTE_STATUS_UNAUTHENTICATED, "TOKEN_EXPIRED"));
    assert_int_equal(mote_server_worker_calls(environment->fixture.pair.worker), 0);
}

/* A reader that stops costs what the stream may buffer; it goes on where it was, and hears nothing twice. */
static void test_stopped_reader(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    fixture->pair.reads = false;
    create_users(environment, 900); /* several times what is buffered */
    assert_int_equal(watcher->changes, 0);
    fixture->pair.reads = true;
    mote_rpc_pair_pump(&fixture->pair); /* bytes alone: what was buffered, and nothing else can come */
    const size_t buffered = watcher->changes * MESSAGE;
    const size_t most = fixture->pair.limits.stream_output_high;
    assert_true(buffered >= most / 2 && buffered <= most + MESSAGE);
    settle(environment);
    for (unsigned i = 0; i < 100 && watcher->changes < 900; i++) {
        settle(environment);
    }
    assert_created(watcher, 1, 900);
    create_users(environment, 1);
    assert_created(watcher, 1, 901);
    /* The feed does not wait for it. */
    fixture->pair.reads = false;
    create_users(environment, 600);
    run_sql(environment, "DELETE FROM feed WHERE sequence <= (SELECT max(sequence) FROM feed) - 10");
    fixture->pair.reads = true;
    settle(environment);
    assert_true(services_failed(watcher->answer, MOTE_STATUS_OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"));
    assert_in_range(watcher->changes, 902, 1490);
    for (unsigned i = 0; i < watcher->changes; i++) {
        assert_int_equal(watcher->kept[i].number, i + 1);
    }
}

static void test_shutdown(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    mote_server_connection_drain(fixture->pair.connection, fixture->pair.now_ns);
    settle(environment);
    assert_true(services_failed(watcher->answer, MOTE_STATUS_UNAVAILABLE, "SHUTTING_DOWN"));
    assert_int_equal(mote_server_worker_calls(fixture->pair.worker), 0);
}

/* The stream ends with the store's failure; its last token leads on when the store is well again. */
static void test_store_fails(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct mote_store_session *session;
    struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
    create_users(environment, 3);
    struct mote_store_create_user create = {.user = {.id = {1}, .username = "user4", .state = MOTE_USER_ACTIVE}};
    create.write.kind = MOTE_STORE_CREATE_USER;
    create.write.now = fixture->wall_ns;
    create.write.done = ignore_done;
    assert_int_equal(mote_store_session_open(&session, fixture->store, &fixture->mailbox), 0);
    assert_int_equal(mote_store_submit(session, &create.write), 0);
    while (mote_store_feed_sequence(fixture->store) < 5) { /* the administrator is the first */
        usleep(100);
    }
    fault_set(&fault_disk.on_read, FAULT_BOTH, SQLITE_IOERR_READ, EIO, -1);
    services_turn(fixture, false);
    assert_true(services_failed(watcher->answer, MOTE_STATUS_UNAVAILABLE, "STORE_UNAVAILABLE"));
    assert_created(watcher, 1, 3);
    fault_vfs_heal();
    for (unsigned i = 0; i < 100 && !mote_store_is_healthy(fixture->store); i++) {
        usleep(50000);
    }
    struct watcher *second = watch(environment, 1, watcher->last.resume_token, environment->admin.access);
    settle(environment);
    assert_created(second, 4, 4);
    mote_store_session_close(session);
}

/* Each allocation of a watch and of what it is told fails in turn: the connection ends, or the stream does, or it goes
 * on and misses nothing; the other stream of the connection too; nothing is left behind. */
static void test_out_of_memory(void **state)
{
    struct mote_failing_mem mem;
    unsigned streams_ended = 0;
    unsigned connections_ended = 0;
    (void)state;
    mote_failing_mem_init(&mem);
    for (size_t fail_at = 1; fail_at == 1 || mem.failures > 0; fail_at++) {
        void *fresh = NULL;
        assert_true(fail_at < 1000);
        set_up_with(&fresh, &mem.mem);
        struct environment *environment = fresh;
        const struct watcher *other = watch(environment, 1, "", environment->admin.access);
        mote_failing_mem_arm(&mem, fail_at, false);
        const struct watcher *watcher = watch(environment, 0, "", environment->admin.access);
        create_users(environment, 3);
        const size_t failures = mem.failures;
        mote_failing_mem_arm(&mem, 0, false);
        settle(environment);
        const bool is_over = environment->fixture.pair.server_error != 0;
        const struct watcher *const both[] = {watcher, other};
        for (size_t i = 0; i < 2; i++) {
            if (both[i]->answer->done) {
                assert_int_not_equal(both[i]->answer->status, MOTE_STATUS_OK);
            } else if (!is_over) {
                assert_created(both[i], 1, 3);
            }
        }
        connections_ended += is_over;
        streams_ended += !is_over && watcher->answer->done;
        tear_down(&fresh);
        assert_int_equal(mem.live_count, 0);
        mem.failures = failures;
    }
    assert_true(connections_ended > 0 && streams_ended > 0);
}

/* --- a peer that writes its frames by hand ----------------------------------------------------------------------- */

struct bare {
    struct mote_server_connection_owner owner;
    struct mote_server_connection *connection;
    struct services_fixture *fixture;
    size_t data; /* bytes of DATA received */
    struct mote_buffer text;
};

static void bare_attention(struct mote_server_connection_owner *owner)
{
    (void)owner;
}

static void bare_pump(struct bare *bare)
{
    uint8_t bytes[16384];
    size_t length = 0;
    do {
        assert_int_equal(
            mote_server_connection_send(bare->connection, bytes, sizeof bytes, &length, bare->fixture->pair.now_ns), 0);
        for (size_t at = 0; at + 9 <= length;) {
            const size_t size = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
            bare->data += bytes[at + 3] == PEER_DATA ? size : 0;
            at += 9 + size;
        }
        mote_peer_describe(&bare->text, mote_slice(bytes, length));
    } while (length > 0);
}

static void bare_give(struct bare *bare, struct mote_buffer *bytes)
{
    assert_int_equal(
        mote_server_connection_recv(bare->connection, mote_buffer_slice(bytes), bare->fixture->pair.now_ns), 0);
    mote_buffer_clear(bytes);
    bare_pump(bare);
}

/* HEADERS and an empty WatchUsersRequest. A token is longer than a length of HPACK's one byte. */
static void bare_request(struct mote_buffer *out, uint32_t stream, const char *token)
{
    struct mote_buffer block;
    char value[MOTE_JWT_LENGTH_MAX + 16];
    static const uint8_t empty[5];
    mote_buffer_init(&block, mote_mem_system(), 0);
    mote_peer_field(&block, ":method", "POST");
    mote_peer_field(&block, ":scheme", "http");
    mote_peer_field(&block, ":path", "/user.v1.UserService/WatchUsers");
    mote_peer_field(&block, ":authority", "test");
    mote_peer_field(&block, "te", "trailers");
    mote_peer_field(&block, "content-type", "application/grpc");
    const size_t length = (size_t)snprintf(value, sizeof value, "Bearer %s", token);
    const uint8_t head[] = {0, 13};
    const size_t rest = length - 127;
    const uint8_t value_head[] = {127, (uint8_t)(rest % 128 | 128), (uint8_t)(rest / 128)};
    assert_int_equal(mote_buffer_append(&block, head, sizeof head), 0);
    assert_int_equal(mote_buffer_append_text(&block, "authorization"), 0);
    assert_int_equal(mote_buffer_append(&block, value_head, sizeof value_head), 0);
    assert_int_equal(mote_buffer_append(&block, value, length), 0);
    mote_peer_frame(out, PEER_HEADERS, PEER_END_HEADERS, stream, mote_buffer_slice(&block));
    mote_peer_frame(out, PEER_DATA, PEER_END_STREAM, stream, mote_slice(empty, sizeof empty));
    mote_buffer_dispose(&block);
}

/* Two streams of a peer that takes one byte of each: they hold nobody up, buffer what is bounded, and are cut off. */
static void test_two_windows_of_one_byte(void **state)
{
    struct environment *environment = *state;
    struct services_fixture *fixture = &environment->fixture;
    struct bare bare = {.owner.attention = bare_attention, .fixture = fixture};
    struct mote_buffer out;
    mote_buffer_init(&out, mote_mem_system(), 0);
    mote_buffer_init(&bare.text, mote_mem_system(), 0);
    const struct mote_server_connection_options options = {.owner = &bare.owner, .peer = "192.0.2.2:40000"};
    assert_int_equal(mote_server_connection_new(&bare.connection, fixture->pair.worker, &options, fixture->pair.now_ns),
                     0);
    mote_peer_preface(&out);
    mote_peer_setting(&out, 4, 1); /* SETTINGS_INITIAL_WINDOW_SIZE */
    bare_request(&out, mote_peer_id(0), environment->admin.access);
    bare_request(&out, mote_peer_id(1), environment->admin.access);
    bare_give(&bare, &out);
    mote_peer_settings_ack(&out);
    bare_give(&bare, &out);
    assert_int_equal(mote_server_worker_calls(fixture->pair.worker), 2);
    struct watcher *other = watch(environment, 0, "", environment->admin.access);
    create_users(environment, 500);
    assert_created(other, 1, 500);
    bare_pump(&bare);
    assert_true(bare.data <= 2);
    /* One byte more for one of them is one byte more. */
    mote_peer_window_update(&out, mote_peer_id(0), 1);
    bare_give(&bare, &out);
    assert_true(bare.data <= 3);
    for (unsigned i = 0; i < 70 && mote_server_worker_calls(fixture->pair.worker) > 1; i++) {
        pass(environment, 1);
        bare_pump(&bare);
    }
    assert_int_equal(mote_server_worker_calls(fixture->pair.worker), 1);
    assert_non_null(strstr((const char *)mote_buffer_slice(&bare.text).data, "RST_STREAM 1"));
    assert_false(other->answer->done);
    mote_server_connection_free(bare.connection);
    mote_buffer_dispose(&out);
    mote_buffer_dispose(&bare.text);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_STORE(test_heartbeats),
        WITH_STORE(test_changes),
        WITH_STORE(test_resume),
        WITH_STORE(test_bad_tokens),
        WITH_STORE(test_access_ends),
        WITH_STORE(test_token_expires),
        WITH_STORE(test_stopped_reader),
        WITH_STORE(test_shutdown),
        WITH_STORE(test_store_fails),
        WITH_STORE(test_two_windows_of_one_byte),
        cmocka_unit_test(test_out_of_memory),
    };
    fault_vfs_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
