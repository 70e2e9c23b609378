/* SPDX-License-Identifier: Apache-2.0 */
/* See services_fixture.h. */
#include "pair/services_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/text.h"
#include "wire/request.h"

#define PATIENCE_SECONDS 20

static void must(int result)
{
    if (result != 0) {
        fprintf(stderr, "unexpected %s\n", mote_error_name(result));
    }
    mote_assert(result == 0);
}

/* --- surroundings ---------------------------------------------------------------------------------------------- */

static void post(struct mote_mailbox *mailbox, struct mote_task *task)
{
    struct services_fixture *fixture = MOTE_CONTAINER_OF(mailbox, struct services_fixture, mailbox);
    pthread_mutex_lock(&fixture->mutex);
    task->next = NULL;
    *fixture->tail = task;
    fixture->tail = &task->next;
    pthread_cond_signal(&fixture->posted);
    pthread_mutex_unlock(&fixture->mutex);
}

static struct mote_task *take_tasks(struct services_fixture *fixture, bool wait)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_SECONDS;
    pthread_mutex_lock(&fixture->mutex);
    while (fixture->head == NULL && wait) {
        mote_assert(pthread_cond_timedwait(&fixture->posted, &fixture->mutex, &deadline) == 0);
    }
    struct mote_task *tasks = fixture->head;
    fixture->head = NULL;
    fixture->tail = &fixture->head;
    pthread_mutex_unlock(&fixture->mutex);
    return tasks;
}

static void run_tasks(struct mote_task *task)
{
    while (task != NULL) {
        struct mote_task *next = task->next;
        task->run(task);
        task = next;
    }
}

static uint64_t monotonic(void *context)
{
    struct services_fixture *fixture = context;
    return fixture->monotonic_ns;
}

static int64_t wall(void *context)
{
    struct services_fixture *fixture = context;
    return fixture->wall_ns;
}

static int fill(void *context, void *out, size_t length)
{
    struct services_fixture *fixture = context;
    if (fixture->random_error != 0 && fixture->random_passes-- <= 0) {
        return fixture->random_error;
    }
    return mote_random_system()->fill(mote_random_system()->context, out, length);
}

void services_pass(struct services_fixture *fixture, int64_t seconds)
{
    fixture->wall_ns += seconds * (int64_t)MOTE_NS_PER_SECOND;
}

void services_wait_out(struct services_fixture *fixture, uint64_t milliseconds)
{
    fixture->monotonic_ns += milliseconds * MOTE_NS_PER_MS;
}

static void init_surroundings(struct services_fixture *fixture)
{
    fixture->mailbox.post = post;
    pthread_mutex_init(&fixture->mutex, NULL);
    pthread_cond_init(&fixture->posted, NULL);
    fixture->tail = &fixture->head;
    fixture->wall_ns = SERVICES_WALL * (int64_t)MOTE_NS_PER_SECOND;
    fixture->monotonic_ns = MOTE_RPC_PAIR_START_NS;
    fixture->clock = (struct mote_clock){.monotonic_ns = monotonic, .wall_ns = wall, .context = fixture};
    fixture->random = (struct mote_random){.fill = fill, .context = fixture};
    fixture->answers = calloc(SERVICES_CALLS, sizeof *fixture->answers);
    mote_assert(fixture->answers != NULL);
}

static void open_parts(struct services_fixture *fixture, const struct services_options *options)
{
    char problem[MOTE_STORE_PROBLEM_MAX];
    const struct mote_store_options store = {
        .url = options->url != NULL ? options->url : "memory:",
        .log = mote_log_none(),
        .clock = &fixture->clock,
        .mem = mote_mem_system(),
    };
    must(mote_store_open(&fixture->store, &store, problem));
    must(mote_keyring_new(&fixture->keyring, mote_mem_system(), mote_slice_text(SERVICES_SECRET)));
    mote_keyring_slot_init(&fixture->keys, mote_keyring_ref(fixture->keyring));
    struct mote_password_settings settings = options->settings;
    if (settings.iterations == 0) {
        settings = (struct mote_password_settings){.memory_kib = 64, .iterations = 1, .parallelism = 1};
    }
    must(mote_password_pool_new(&fixture->passwords, mote_mem_system(), &settings, 1, &fixture->random,
                                &fixture->clock));
    must(mote_throttle_new(&fixture->throttle, mote_mem_system(), &fixture->random));
}

void services_open(struct services_fixture *fixture, const struct services_options *options)
{
    static const struct services_options plain;
    memset(fixture, 0, sizeof *fixture);
    options = options != NULL ? options : &plain;
    init_surroundings(fixture);
    open_parts(fixture, options);
    struct mote_services *services = &fixture->services;
    *services = (struct mote_services){
        .store = fixture->store,
        .keys = &fixture->keys,
        .passwords = fixture->passwords,
        .throttle = fixture->throttle,
        .clock = &fixture->clock,
        .random = &fixture->random,
        .log = mote_log_none(),
        .policy = {.issuer = "mote", .audience = "mote", .leeway = 30, .lifetime_max = 900},
        .access_lifetime = 900,
        .refresh_idle = 7 * 86400,
        .refresh_absolute = 30 * 86400,
        .signup_open = options->signup_open,
    };
    struct mote_server_options server = {.log = services->log};
    server.access = mote_services_access(services, &server.access_count);
    server.stages[MOTE_STAGE_AUTHENTICATION] = mote_services_authentication(services);
    must(mote_rpc_pair_init(&fixture->pair, mote_mem_system(), &server));
    must(mote_services_register(services, fixture->pair.server));
    must(mote_services_worker_new(&fixture->worker, services, options->mem != NULL ? options->mem : mote_mem_system(),
                                  &fixture->mailbox));
    fixture->pair.worker_user = fixture->worker;
    if (options->connection_mem != NULL) {
        fixture->pair.server_mem = options->connection_mem;
    }
    must(mote_rpc_pair_connect(&fixture->pair));
}

void services_close(struct services_fixture *fixture)
{
    mote_rpc_pair_close_client(&fixture->pair);
    mote_rpc_pair_close_server(&fixture->pair);
    while (mote_server_worker_calls(fixture->pair.worker) > 0) {
        run_tasks(take_tasks(fixture, true));
    }
    mote_rpc_pair_dispose(&fixture->pair);
    mote_services_worker_free(fixture->worker);
    mote_password_pool_free(fixture->passwords);
    mote_throttle_free(fixture->throttle);
    mote_store_close(fixture->store);
    mote_keyring_slot_dispose(&fixture->keys);
    mote_keyring_free(fixture->keyring);
    pthread_cond_destroy(&fixture->posted);
    pthread_mutex_destroy(&fixture->mutex);
    free(fixture->answers);
}

/* --- calls ----------------------------------------------------------------------------------------------------- */

static void take_message(struct mote_client_call *call, const void *response)
{
    struct services_answer *answer = mote_client_call_user(call);
    mote_assert(answer->method->response->size <= sizeof answer->response);
    memcpy(answer->response, response, answer->method->response->size);
    if (answer->on_message != NULL) {
        answer->on_message(answer, response);
    }
}

static void copy_text(char *out, size_t size, struct mote_slice text)
{
    size_t length = text.length < size ? text.length : size - 1;
    if (length > 0) {
        memcpy(out, text.data, length);
    }
    out[length] = '\0';
}

static void take_detail(struct services_answer *answer, const services_test_Detail *detail)
{
    struct mote_slice value = mote_slice(detail->value.bytes, detail->value.size);
    if (strcmp(detail->type_url, "type.googleapis.com/google.rpc.ErrorInfo") == 0) {
        services_test_ErrorInfo info;
        must(mote_codec_decode(&services_test_ErrorInfo_type, value, &info, NULL));
        memcpy(answer->reason, info.reason, sizeof info.reason);
        memcpy(answer->domain, info.domain, sizeof info.domain);
        answer->error_infos++;
    } else if (strcmp(detail->type_url, "type.googleapis.com/google.rpc.BadRequest") == 0) {
        must(mote_codec_decode(&services_test_BadRequest_type, value, &answer->violations, NULL));
    } else {
        services_test_RetryInfo info;
        mote_assert(strcmp(detail->type_url, "type.googleapis.com/google.rpc.RetryInfo") == 0);
        must(mote_codec_decode(&services_test_RetryInfo_type, value, &info, NULL));
        answer->retry_ms = (uint64_t)info.retry_delay.seconds * 1000 + (uint64_t)info.retry_delay.nanos / 1000000;
    }
}

static void take_details(struct services_answer *answer, struct mote_slice text)
{
    uint8_t bytes[4096];
    size_t length = 0;
    mote_assert(mote_base64_decoded_max(text.length) <= sizeof bytes);
    must(mote_base64_decode(bytes, &length, text, MOTE_BASE64_UNPADDED));
    services_test_Status status;
    must(mote_codec_decode(&services_test_Status_type, mote_slice(bytes, length), &status, NULL));
    mote_assert(status.code == (int32_t)answer->status);
    mote_assert(strcmp(status.message, answer->message) == 0);
    for (pb_size_t i = 0; i < status.details_count; i++) {
        take_detail(answer, &status.details[i]);
    }
}

static void take_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct services_answer *answer = mote_client_call_user(call);
    answer->done = true;
    answer->status = status;
    answer->call = NULL;
    copy_text(answer->message, sizeof answer->message, message);
    if (trailers == NULL) {
        return;
    }
    struct mote_slice details = trailers->known[MOTE_FIELD_GRPC_STATUS_DETAILS];
    if (mote_slice_is_present(details)) {
        take_details(answer, details);
    }
}

static struct services_answer *start_with(struct services_fixture *fixture, size_t index,
                                          const struct mote_method *method, const void *request,
                                          const char *const *authorizations, size_t count)
{
    static const struct mote_client_call_callbacks callbacks = {.message = take_message, .ended = take_end};
    static const struct mote_slice name = MOTE_SLICE_LITERAL("authorization");
    struct services_answer *answer = &fixture->answers[index];
    mote_assert(index < SERVICES_CALLS && count <= 4 && (!answer->started || answer->done));
    struct mote_field metadata[4];
    for (size_t i = 0; i < count; i++) {
        metadata[i] = (struct mote_field){.name = name, .value = mote_slice_text(authorizations[i])};
    }
    memset(answer, 0, sizeof *answer);
    answer->fixture = fixture;
    answer->method = method;
    answer->started = true;
    const struct mote_client_call_options options = {
        .method = method,
        .callbacks = &callbacks,
        .user = answer,
        .timeout_ns = MOTE_REQUEST_NO_TIMEOUT,
        .metadata = metadata,
        .metadata_count = count,
    };
    must(mote_client_call_start(&answer->call, fixture->pair.client_connection, &options, fixture->pair.now_ns));
    if (request != NULL) {
        must(mote_client_call_send(answer->call, request));
        must(mote_client_call_half_close(answer->call));
    }
    return answer;
}

struct services_answer *services_start(struct services_fixture *fixture, size_t index, const struct mote_method *method,
                                       const void *request, const char *token)
{
    char authorization[MOTE_JWT_LENGTH_MAX + 16];
    const char *value = authorization;
    snprintf(authorization, sizeof authorization, "Bearer %s", token != NULL ? token : "");
    return start_with(fixture, index, method, request, &value, token != NULL ? 1 : 0);
}

void services_turn(struct services_fixture *fixture, bool wait)
{
    mote_rpc_pair_pump(&fixture->pair);
    run_tasks(take_tasks(fixture, wait));
    mote_rpc_pair_pump(&fixture->pair);
    mote_services_worker_end_turn(fixture->worker);
}

void services_wait(struct services_fixture *fixture, struct services_answer *answer)
{
    services_turn(fixture, false);
    while (!answer->done) {
        services_turn(fixture, true);
    }
}

struct services_answer *services_call_with(struct services_fixture *fixture, const struct mote_method *method,
                                           const void *request, const char *const *authorizations, size_t count)
{
    struct services_answer *answer = start_with(fixture, 0, method, request, authorizations, count);
    services_wait(fixture, answer);
    return answer;
}

struct services_answer *services_call(struct services_fixture *fixture, const struct mote_method *method,
                                      const void *request, const char *token)
{
    struct services_answer *answer = services_start(fixture, 0, method, request, token);
    services_wait(fixture, answer);
    return answer;
}

/* --- users and tokens ------------------------------------------------------------------------------------------ */

struct waiting_write {
    struct mote_store_create_user create;
    bool done;
};

static void write_done(struct mote_store_write *write)
{
    struct mote_store_create_user *create = MOTE_CONTAINER_OF(write, struct mote_store_create_user, write);
    MOTE_CONTAINER_OF(create, struct waiting_write, create)->done = true;
}

static void make_user(struct services_fixture *fixture, struct waiting_write *waiting, const char *username,
                      const char *password)
{
    struct mote_store_session *session;
    struct mote_user *user = &waiting->create.user;
    uint8_t random[10];
    must(fill(fixture, random, sizeof random));
    mote_uuid_make_v7(user->id, fixture->wall_ns, random);
    snprintf(user->username, sizeof user->username, "%s", username);
    snprintf(user->email, sizeof user->email, "%s@Example.org", username);
    if (password != NULL) {
        must(mote_password_hash(user->password_hash, mote_password_pool_settings(fixture->passwords),
                                mote_slice_text(password), &fixture->random));
    }
    waiting->create.write.kind = MOTE_STORE_CREATE_USER;
    waiting->create.write.now = fixture->wall_ns;
    waiting->create.write.done = write_done;
    must(mote_store_session_open(&session, fixture->store, &fixture->mailbox));
    must(mote_store_submit(session, &waiting->create.write));
    while (!waiting->done) {
        run_tasks(take_tasks(fixture, true));
    }
    must(waiting->create.write.result);
    mote_store_session_close(session);
}

void services_make_user(struct services_fixture *fixture, const char *username, uint32_t roles, const char *password,
                        uint8_t id[16])
{
    struct waiting_write waiting = {.create.user = {.roles = roles, .state = MOTE_USER_ACTIVE}};
    make_user(fixture, &waiting, username, password);
    if (id != NULL) {
        memcpy(id, waiting.create.user.id, sizeof waiting.create.user.id);
    }
}

void services_make_disabled_user(struct services_fixture *fixture, const char *username, const char *password)
{
    struct waiting_write waiting = {.create.user = {.roles = MOTE_ROLE_BIT_USER, .state = MOTE_USER_DISABLED}};
    make_user(fixture, &waiting, username, password);
}

struct services_answer *services_try_login(struct services_fixture *fixture, const char *username, const char *password)
{
    auth_v1_LoginRequest request = {.which_identifier = auth_v1_LoginRequest_username_tag};
    snprintf(request.identifier.username, sizeof request.identifier.username, "%s", username);
    snprintf(request.password, sizeof request.password, "%s", password);
    return services_call(fixture, &auth_v1_AuthService_Login_method, &request, NULL);
}

static void copy_pair(struct services_tokens *tokens, const auth_v1_TokenPair *pair)
{
    memcpy(tokens->access, pair->access_token, sizeof tokens->access);
    snprintf(tokens->refresh, sizeof tokens->refresh, "%.63s", pair->refresh_token);
}

void services_login(struct services_fixture *fixture, const char *username, const char *password,
                    struct services_tokens *tokens)
{
    struct services_answer *answer = services_try_login(fixture, username, password);
    if (answer->status != MOTE_STATUS_OK) {
        fprintf(stderr, "login: %s %s\n", mote_status_name(answer->status), answer->message);
    }
    mote_assert(answer->status == MOTE_STATUS_OK);
    const auth_v1_LoginResponse *response = (const auth_v1_LoginResponse *)(const void *)answer->response;
    copy_pair(tokens, &response->tokens);
    snprintf(tokens->user_id, sizeof tokens->user_id, "%.36s", response->user_id);
    snprintf(tokens->session_id, sizeof tokens->session_id, "%.36s", response->session_id);
}

struct services_answer *services_refresh(struct services_fixture *fixture, struct services_tokens *tokens)
{
    auth_v1_RefreshTokenRequest request = {.refresh_token = ""};
    snprintf(request.refresh_token, sizeof request.refresh_token, "%s", tokens->refresh);
    struct services_answer *answer = services_call(fixture, &auth_v1_AuthService_RefreshToken_method, &request, NULL);
    if (answer->status == MOTE_STATUS_OK) {
        copy_pair(tokens, &((const auth_v1_RefreshTokenResponse *)(const void *)answer->response)->tokens);
    }
    return answer;
}

void services_forge(struct services_fixture *fixture, const struct mote_identity *identity,
                    char token[MOTE_JWT_LENGTH_MAX + 1])
{
    size_t length = 0;
    must(mote_jwt_issue(token, &length, fixture->keyring, &fixture->services.policy, identity));
    token[length] = '\0';
}

/* --- judging --------------------------------------------------------------------------------------------------- */

bool services_failed(const struct services_answer *answer, enum mote_status status, const char *reason)
{
    const char *slash = strchr(answer->method->path + 1, '/');
    const char *package = strncmp(answer->method->path, "/user.v1.", 9) == 0 ? "user.v1" : "auth.v1";
    if (slash != NULL && answer->status == status && answer->error_infos == 1 && strcmp(answer->reason, reason) == 0 &&
        strcmp(answer->domain, package) == 0 && answer->message[0] != '\0') {
        return true;
    }
    fprintf(stderr, "%s: expected %s %s, got %s \"%s\" with %zu ErrorInfo: %s %s\n", answer->method->path,
            mote_status_name(status), reason, mote_status_name(answer->status), answer->message, answer->error_infos,
            answer->domain, answer->reason);
    return false;
}

bool services_names(const struct services_answer *answer, const char *field)
{
    if (!services_failed(answer, MOTE_STATUS_INVALID_ARGUMENT, "FIELD_INVALID")) {
        return false;
    }
    for (pb_size_t i = 0; i < answer->violations.field_violations_count; i++) {
        if (strcmp(answer->violations.field_violations[i].field, field) == 0) {
            return true;
        }
    }
    fprintf(stderr, "%s is not named in: %s\n", field, answer->message);
    return false;
}
