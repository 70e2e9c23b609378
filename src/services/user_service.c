/* SPDX-License-Identifier: Apache-2.0 */
/* user.v1.UserService: the short methods. UpdateUser is in user_update.c, CreateUser in user_create.c, ListUsers in
 * user_list.c. */
#include <string.h>

#include "base/list.h"
#include "services/convert.h"
#include "services/failure.h"
#include "services/rules.h"
#include "services/spans.h"
#include "services/target.h"
#include "services/worker.h"
#include "user/v1/user.mote.h"

struct get_operation {
    struct mote_store_get_user read;
    struct mote_call *call;
};

static void get_done(struct mote_store_get_user *read, int result)
{
    struct get_operation *operation = MOTE_CONTAINER_OF(read, struct get_operation, read);
    struct mote_call *call = operation->call;
    if (result == 0) {
        user_v1_GetUserResponse response; /* filled in whole */
        response.has_user = true;
        mote_convert_user(&response.user, &read->user);
        mote_call_reply(call, &response);
    } else if (result == MOTE_ENOTFOUND) {
        mote_failure_answer(call, MOTE_FAILURE_USER_NOT_FOUND);
    } else {
        mote_failure_answer_store(call, result);
    }
    mote_call_unref(call);
}

void user_v1_user_service_get_user(struct mote_call *call, const user_v1_GetUserRequest *request)
{
    struct get_operation *operation = mote_arena_allocate(mote_call_arena(call), sizeof *operation);
    if (operation == NULL) {
        mote_failure_answer(call, MOTE_FAILURE_INTERNAL_ERROR);
        return;
    }
    int result = mote_target_find(operation->read.id, mote_call_identity(call), request->id,
                                  MOTE_ROLE_BIT_SERVICE | MOTE_ROLE_BIT_ADMIN);
    if (result == MOTE_EAUTH) {
        mote_failure_answer(call, MOTE_FAILURE_PERMISSION_DENIED);
        return;
    }
    if (result != 0) {
        const struct mote_violation violation = {.field = "id", .text = "must be a UUID or 'me'"};
        mote_failure_answer_fields(call, &violation, 1);
        return;
    }
    operation->call = call;
    operation->read.key = MOTE_STORE_BY_ID_WITHOUT_HASH;
    operation->read.done = get_done;
    mote_call_ref(call);
    mote_store_get_user(mote_spans_session(call), &operation->read);
}

void user_v1_user_service_health_check(struct mote_call *call, const google_protobuf_Empty *request)
{
    (void)request;
    const struct mote_services *services = mote_services_worker_of(call)->services;
    bool serving = services->is_serving != NULL ? services->is_serving(services->is_serving_context)
                                                : mote_store_is_healthy(services->store);
    user_v1_HealthCheckResponse response = {.has_timestamp = true};
    strcpy(response.status, serving ? "SERVING" : "NOT_SERVING");
    response.timestamp = mote_convert_time(services->clock->wall_ns(services->clock->context));
    mote_call_reply(call, &response);
}
