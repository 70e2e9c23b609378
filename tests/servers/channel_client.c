/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel to the calculator, driven by lines on standard input while the loop runs; what comes of the calls is told
 * on standard output. A thread reads, and the lines come to the loop as tasks.
 *
 *   channel-client TARGET [--ca FILE] [--name NAME] [--backoff-ms N] [--keepalive-ms N] [--connections N]
 *
 *   add NAME [wait] [TIMEOUT_MS]   Add(2, 40): "NAME OK 42", "NAME UNAVAILABLE cannot connect …"
 *   open NAME                      a stream (RunningTotal)
 *   send NAME                      adds 1: "NAME 1", "NAME 2"
 *   finish NAME                    "NAME OK"
 *   state                          "state READY"
 */
#include <inttypes.h>
#include <mote/net/channel.h>
#include <mote/net/tls_files.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calculator.mote.h"

#define CALLS_MAX 256u

struct line {
    struct mote_task task;
    char text[256];
};

struct named_call {
    char name[32]; /* "": free */
    struct mote_client_call *call;
    int64_t number;
    bool has_number;
    bool is_stream;
};

static struct mote_loop *loop;
static struct mote_channel *channel;
static struct named_call calls[CALLS_MAX];
static bool done;

static void say(const char *name, const char *what, const char *more)
{
    printf("%s %s%s%s\n", name, what, more[0] != '\0' ? " " : "", more);
    fflush(stdout);
}

static void note_message(struct mote_client_call *call, const void *response)
{
    struct named_call *named = mote_client_call_user(call);
    char text[32];
    if (named->is_stream) {
        (void)snprintf(text, sizeof text, "%" PRId64, ((const calculator_v1_RunningTotalResponse *)response)->total);
        say(named->name, text, "");
    } else {
        named->number = ((const calculator_v1_AddResponse *)response)->sum;
        named->has_number = true;
    }
}

static void note_end(struct mote_client_call *call, enum mote_status status, struct mote_slice message,
                     const struct mote_fields *trailers)
{
    struct named_call *named = mote_client_call_user(call);
    char text[512] = "";
    (void)trailers;
    if (status == MOTE_STATUS_OK && named->has_number) {
        (void)snprintf(text, sizeof text, "%" PRId64, named->number);
    } else if (message.length > 0) {
        (void)snprintf(text, sizeof text, "%.*s", (int)message.length, (const char *)message.data);
    }
    say(named->name, mote_status_name(status), text);
    memset(named, 0, sizeof *named);
}

static struct named_call *find(const char *name)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (strcmp(calls[i].name, name) == 0) {
            return &calls[i];
        }
    }
    return NULL;
}

static void start(const char *name, bool is_stream, bool waits, long timeout_ms)
{
    static const struct mote_client_call_callbacks callbacks = {.message = note_message, .ended = note_end};
    struct named_call *named = find("");
    const struct mote_client_call_options options = {
        .method = is_stream ? &calculator_v1_Calculator_RunningTotal_method : &calculator_v1_Calculator_Add_method,
        .callbacks = &callbacks,
        .user = named,
        .timeout_ns = timeout_ms > 0 ? (uint64_t)timeout_ms * MOTE_NS_PER_MS : UINT64_MAX,
        .wait_for_ready = waits,
    };
    if (named == NULL) {
        say(name, "error", "too many calls");
        return;
    }
    const int error = mote_channel_start(&named->call, channel, &options);
    if (error != 0) {
        say(name, "error", mote_error_text(error));
        return;
    }
    (void)snprintf(named->name, sizeof named->name, "%s", name);
    named->is_stream = is_stream;
    if (!is_stream) {
        const calculator_v1_AddRequest request = {.a = 2, .b = 40};
        (void)!mote_client_call_send(named->call, &request);
        (void)!mote_client_call_half_close(named->call);
    }
}

static void go_on(const char *name, bool finishes)
{
    const calculator_v1_RunningTotalRequest request = {.number = 1};
    struct named_call *named = find(name);
    int error = MOTE_ENOTFOUND;
    if (named != NULL) {
        error = finishes ? mote_client_call_half_close(named->call) : mote_client_call_send(named->call, &request);
    }
    if (error != 0) {
        say(name, "error", mote_error_text(error));
    }
}

static void obey(const char *text)
{
    static const char *const states[] = {"IDLE", "CONNECTING", "READY", "TRANSIENT_FAILURE", "SHUTDOWN"};
    char word[16] = "";
    char name[32] = "";
    char more[2][16] = {"", ""};
    (void)sscanf(text, "%15s %31s %15s %15s", word, name, more[0], more[1]);
    const bool waits = strcmp(more[0], "wait") == 0;
    if (strcmp(word, "state") == 0) {
        say("state", states[mote_channel_state(channel)], "");
    } else if (strcmp(word, "add") == 0 || strcmp(word, "open") == 0) {
        start(name, word[0] == 'o', waits, strtol(more[waits], NULL, 10));
    } else {
        go_on(name, strcmp(word, "finish") == 0);
    }
}

static void run_line(struct mote_task *task)
{
    struct line *line = MOTE_CONTAINER_OF(task, struct line, task);
    if (line->text[0] == '\0') {
        done = true;
    } else {
        obey(line->text);
    }
    free(line);
}

/* An empty line is the last. */
static void *read_lines(void *argument)
{
    bool more = true;
    (void)argument;
    while (more) {
        struct line *line = calloc(1, sizeof *line);
        if (line == NULL) {
            abort();
        }
        more = fgets(line->text, sizeof line->text, stdin) != NULL && line->text[0] != '\n';
        if (!more) {
            line->text[0] = '\0';
        }
        line->task.run = run_line;
        mote_loop_post(loop, &line->task);
    }
    return NULL;
}

static uint64_t milliseconds(const char *text)
{
    return strtoull(text, NULL, 10) * MOTE_NS_PER_MS;
}

/* False: what is said of it cannot be. */
static bool open_channel(char **argv)
{
    struct mote_channel_options options = {.target = argv[1]};
    struct mote_tls_client_files files = {0};
    char problem[MOTE_TLS_FILES_PROBLEM_MAX] =
        "usage: channel-client TARGET [--ca FILE] [--name NAME] [--cert FILE] [--key FILE] …";
    int error = argv[1] != NULL ? 0 : MOTE_EINVAL;
    for (size_t i = 2; error == 0 && argv[i] != NULL && argv[i + 1] != NULL; i += 2) {
        const char *value = argv[i + 1];
        if (strcmp(argv[i], "--ca") == 0) {
            files.authorities = value;
        } else if (strcmp(argv[i], "--cert") == 0) {
            files.certificate = value;
        } else if (strcmp(argv[i], "--key") == 0) {
            files.key = value;
        } else if (strcmp(argv[i], "--name") == 0) {
            options.server_name = value;
        } else if (strcmp(argv[i], "--backoff-ms") == 0) {
            options.backoff.initial_ns = milliseconds(value);
        } else if (strcmp(argv[i], "--keepalive-ms") == 0) {
            options.keepalive_time_ns = options.keepalive_timeout_ns = milliseconds(value);
        } else {
            options.max_connections = strtoul(value, NULL, 10);
        }
    }
    if (error == 0 && files.authorities != NULL) {
        error = mote_tls_files_load_client(&options.tls, &files, problem);
    }
    if (error == 0) {
        error = mote_channel_open(&channel, loop, &options, problem);
    }
    mote_tls_context_unref(options.tls);
    if (error != 0) {
        fprintf(stderr, "channel-client: %s\n", problem);
    }
    return error == 0;
}

int main(int argc, char **argv)
{
    pthread_t reader;
    (void)argc;
    signal(SIGPIPE, SIG_IGN);
    if (mote_loop_new(&loop, mote_mem_system(), NULL) != 0) {
        return 1;
    }
    if (!open_channel(argv)) {
        mote_loop_free(loop);
        return 64;
    }
    if (pthread_create(&reader, NULL, read_lines, NULL) != 0) {
        return 1;
    }
    (void)mote_loop_run(loop, &done, UINT64_MAX);
    pthread_join(reader, NULL);
    mote_channel_close(channel);
    mote_loop_free(loop);
    return 0;
}
