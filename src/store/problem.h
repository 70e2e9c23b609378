/* SPDX-License-Identifier: Apache-2.0 */
/* The one line for the user that says what is wrong with a database file and what to do about it. Each function writes
 * it and returns the error. `what` is a verb: "open", "create"; `path` is shown by its end. */
#ifndef MOTE_STORE_PROBLEM_H
#define MOTE_STORE_PROBLEM_H

#include "store/store.h"

/* One line: control characters of a path do not get through. */
int MOTE_PRINTF(3, 4) mote_problem_tell(char problem[MOTE_STORE_PROBLEM_MAX], int error, const char *format, ...);
/* For a system call on the file or its folder; `number` is errno. */
int mote_problem_of_system(char *problem, int number, const char *what, const char *path);
/* For an error that a connection reported. */
int mote_problem_of_database(char *problem, int error, const char *what, const char *path);
/* What of a path fits into a line: its end tells more than its beginning. Points into it. */
const char *mote_problem_shown(const char *path);

#endif
