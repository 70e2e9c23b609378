/* SPDX-License-Identifier: Apache-2.0 */
/* `mote healthcheck`: one grpc.health.v1.Health/Check. Exit code 0 or 1 and nothing else, because container runtimes
 * give other codes a meaning of their own. */
#include <stdio.h>

#include "app/command.h"
#include "app/exit_code.h"
#include "grpc/health/v1/health.mote.h"
#include "net/dial.h"

static const char *status_name(grpc_health_v1_HealthCheckResponse_ServingStatus status)
{
    switch (status) {
    case grpc_health_v1_HealthCheckResponse_ServingStatus_UNKNOWN:
        return "UNKNOWN";
    case grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING:
        return "SERVING";
    case grpc_health_v1_HealthCheckResponse_ServingStatus_NOT_SERVING:
        return "NOT_SERVING";
    case grpc_health_v1_HealthCheckResponse_ServingStatus_SERVICE_UNKNOWN:
        return "SERVICE_UNKNOWN";
    }
    return "an unknown status";
}

static int check(const struct mote_command_call *call, const char *service, uint64_t timeout_ns)
{
    grpc_health_v1_HealthCheckRequest request = grpc_health_v1_HealthCheckRequest_init_zero;
    grpc_health_v1_HealthCheckResponse response = grpc_health_v1_HealthCheckResponse_init_zero;
    struct mote_dial *dial = NULL;
    struct mote_dial_result result;
    int written = snprintf(request.service, sizeof request.service, "%s", service);
    if (written < 0 || (size_t)written >= sizeof request.service) {
        fprintf(stderr, "healthcheck: --service is longer than a service's name can be\n");
        return MOTE_EXIT_FAILED;
    }
    if (!mote_command_dial(&dial, call, true, timeout_ns)) {
        return MOTE_EXIT_FAILED;
    }
    int error =
        mote_dial_unary(dial, &grpc_health_v1_Health_Check_method, &request, &response, NULL, 0, timeout_ns, &result);
    mote_dial_close(dial);
    if (error != 0) {
        fprintf(stderr, "healthcheck: %s\n", mote_error_text(error));
        return MOTE_EXIT_FAILED;
    }
    if (result.status != MOTE_STATUS_OK) {
        fprintf(stderr, "healthcheck: the server answered %s: %s\n", mote_status_name(result.status), result.message);
        return MOTE_EXIT_FAILED;
    }
    if (response.status != grpc_health_v1_HealthCheckResponse_ServingStatus_SERVING) {
        fprintf(stderr, "healthcheck: the server answered %s\n", status_name(response.status));
        return MOTE_EXIT_FAILED;
    }
    return MOTE_EXIT_OK;
}

enum { FLAG_SERVICE = MOTE_COMMAND_DIAL_FLAGS, FLAG_TIMEOUT };

static const struct mote_command_flag flags[] = {
    MOTE_COMMAND_DIAL_FLAG_ROWS,
    [FLAG_SERVICE] = {"--service", "NAME", NULL, "the service to ask for; without it, the server as a whole"},
    [FLAG_TIMEOUT] = {"--timeout", "DURATION", "2s", "for connecting and for the answer"},
};

static int run(const struct mote_command_call *call)
{
    const char *service = call->values[FLAG_SERVICE];
    uint64_t timeout_ns;
    if (!mote_command_parse_duration(&timeout_ns, "--timeout", call->values[FLAG_TIMEOUT])) {
        return MOTE_EXIT_FAILED;
    }
    return check(call, service != NULL ? service : "", timeout_ns);
}

const struct mote_command mote_command_healthcheck = {
    .name = "healthcheck",
    .meaning = "asks a server whether it serves",
    .details = "One grpc.health.v1.Health/Check. Exit code 0 when the server says SERVING, otherwise 1 and the reason. "
               "Without --addr and --tls-ca it asks at HEALTH_LISTEN, where that is set, in the clear.",
    .flags = flags,
    .flag_count = sizeof flags / sizeof flags[0],
    .misuse = MOTE_EXIT_FAILED,
    .run = run,
};
