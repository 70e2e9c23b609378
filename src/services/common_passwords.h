/* SPDX-License-Identifier: Apache-2.0 */
/* The passwords that everyone tries first. */
#ifndef MOTE_SERVICES_COMMON_PASSWORDS_H
#define MOTE_SERVICES_COMMON_PASSWORDS_H

#include <stdbool.h>

#include "base/slice.h"

/* ASCII letters are compared without case. */
bool mote_common_passwords_contain(struct mote_slice password);

#endif
