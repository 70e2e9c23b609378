/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See prompt.h. While a password is typed the terminal does not echo. A signal that would end or stop the program is
 * held until the terminal is as it was: then it does what it would have done.
 */
#include "app/prompt.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "app/command.h"
#include "security/secret.h"

static const int held[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

#define HELD (sizeof held / sizeof held[0])

static volatile sig_atomic_t caught; /* number of the last signal that was held */

static void hold(int number)
{
    caught = number;
}

/* A line without its end; false for one that does not fit, for the end of input, and when interrupted: while it waits
 * the signals are as in `mask` (NULL: as they are), so that none is missed just before. */
static bool read_line(char *out, size_t size, const sigset_t *mask)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    size_t length = 0;
    ssize_t got;
    while (ppoll(&input, 1, NULL, mask) > 0 && (got = read(STDIN_FILENO, out + length, size - length)) > 0) {
        char *end = memchr(out + length, '\n', (size_t)got);
        length += (size_t)got;
        if (end != NULL) {
            *end = '\0';
            return true;
        }
        if (length == size) {
            tcflush(STDIN_FILENO, TCIFLUSH);
            break;
        }
    }
    return false;
}

static bool ask(const char *question, char *out, size_t size)
{
    struct termios before;
    struct sigaction old[HELD];
    sigset_t mask;
    sigset_t blocked;
    const struct sigaction action = {.sa_handler = hold};
    caught = 0;
    if (tcgetattr(STDIN_FILENO, &before) != 0) {
        return false;
    }
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
    sigemptyset(&blocked);
    for (size_t i = 0; i < HELD; i++) {
        sigaddset(&blocked, held[i]);
        sigaction(held[i], &action, &old[i]);
    }
    sigprocmask(SIG_BLOCK, &blocked, &mask);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fprintf(stderr, "%s: ", question);
    bool ok = read_line(out, size, &mask);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    for (size_t i = 0; i < HELD; i++) {
        sigaction(held[i], &old[i], NULL);
    }
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (caught != 0) {
        mote_secret_wipe(out, size);
        raise(caught);
        ok = false;
    }
    return ok;
}

static bool type_password(char *out, size_t size)
{
    char again[256];
    bool ok = ask("New password", out, size);
    if (ok) {
        ok = ask("The same again", again, size < sizeof again ? size : sizeof again) && strcmp(out, again) == 0;
        fputs(ok ? "" : "mote: the two are not the same\n", stderr);
    } else {
        fputs("mote: no password was given, or it is too long\n", stderr);
    }
    mote_secret_wipe(again, sizeof again);
    return ok;
}

bool mote_prompt_new_password(char *out, size_t size)
{
    return isatty(STDIN_FILENO) ? type_password(out, size)
                                : mote_command_read_secret(STDIN_FILENO, "the password", out, size) >= 0;
}

bool mote_prompt_confirm(const char *question)
{
    char answer[16] = "";
    if (!isatty(STDIN_FILENO)) {
        return false;
    }
    fprintf(stderr, "%s Type yes to go on: ", question);
    return read_line(answer, sizeof answer, NULL) && strcmp(answer, "yes") == 0;
}
