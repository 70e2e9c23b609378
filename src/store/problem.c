/* SPDX-License-Identifier: Apache-2.0 */
/* See problem.h. */
#include "store/problem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define SHOWN_MAX 120u /* bytes of a path in a problem */

const char *mote_problem_shown(const char *path)
{
    size_t length = strlen(path);
    return length > SHOWN_MAX ? path + (length - SHOWN_MAX) : path;
}

int mote_problem_tell(char problem[MOTE_STORE_PROBLEM_MAX], int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem, MOTE_STORE_PROBLEM_MAX, format, arguments);
    va_end(arguments);
    for (char *c = problem; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    return error;
}

int mote_problem_of_system(char *problem, int number, const char *what, const char *path)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return mote_problem_tell(problem, MOTE_ENOTFOUND, "sqlite: the folder of %s does not exist: create it",
                                 mote_problem_shown(path));
    case EACCES:
    case EPERM:
        return mote_problem_tell(problem, MOTE_EACCESS,
                                 "sqlite: cannot %s %s: permission denied; the folder and its files must be "
                                 "writable for this user",
                                 what, mote_problem_shown(path));
    case EROFS:
        return mote_problem_tell(problem, MOTE_EREADONLY, "sqlite: cannot %s %s: the file system is read-only", what,
                                 mote_problem_shown(path));
    case ENOSPC:
    case EDQUOT:
        return mote_problem_tell(problem, MOTE_EFULL, "sqlite: cannot %s %s: no space left: free some", what,
                                 mote_problem_shown(path));
    default:
        return mote_problem_tell(problem, MOTE_EIO, "sqlite: cannot %s %s: %s", what, mote_problem_shown(path),
                                 strerror(number));
    }
}

int mote_problem_of_database(char *problem, int error, const char *what, const char *path)
{
    path = mote_problem_shown(path);
    switch (error) {
    case MOTE_ECORRUPT:
        return mote_problem_tell(problem, error, "sqlite: %s is damaged or no database: restore it from a backup",
                                 path);
    case MOTE_EBUSY:
        return mote_problem_tell(problem, error, "sqlite: %s is in use by another program: close that first", path);
    case MOTE_EFULL:
        return mote_problem_tell(problem, error, "sqlite: cannot %s %s: no space left: free some", what, path);
    case MOTE_EACCESS:
        return mote_problem_tell(problem, error, "sqlite: cannot %s %s: permission denied", what, path);
    case MOTE_EREADONLY:
        return mote_problem_tell(problem, error, "sqlite: cannot %s %s: it is read-only", what, path);
    default:
        return mote_problem_tell(problem, error, "sqlite: cannot %s %s: %s", what, path, mote_error_text(error));
    }
}
