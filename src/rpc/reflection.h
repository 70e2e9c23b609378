/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.reflection.v1 and v1alpha, from the descriptors that protoc-gen-mote wrote: one implementation, because their
 * messages are the same on the wire. */
#ifndef MOTE_RPC_REFLECTION_H
#define MOTE_RPC_REFLECTION_H

#include "../base/error.h"
#include "../base/linkage.h"
#include "server.h"

MOTE_C_BEGIN

/* Files that one server can describe: of its services, of what they import, and those of mote_server_add_file. */
#define MOTE_REFLECTION_FILES_MAX 256u

/* Registers both services. What they tell is what is registered when they are asked, and the details of errors. */
MOTE_MUST_CHECK int mote_reflection_register(struct mote_server *server);

MOTE_C_END

#endif
