/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the program when one of mote's own invariants does not hold. Allocates nothing. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void mote_assert_fail(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, condition);
    abort();
}
