/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Assertions that stay in every build. They are for mote's own bugs: no byte from a peer, no file and
 * no configuration may reach one, and the condition has no side effects.
 */
#ifndef MOTE_BASE_ASSERT_H
#define MOTE_BASE_ASSERT_H

/* Writes "file:line: assertion failed: condition" to standard error and aborts. */
_Noreturn void mote_assert_fail(const char *condition, const char *file, int line);

#define mote_assert(condition)                                                                                         \
    (__builtin_expect(!!(condition), 1) ? (void)0 : mote_assert_fail(#condition, __FILE__, __LINE__))

#endif
