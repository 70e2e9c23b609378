/* SPDX-License-Identifier: Apache-2.0 */
/* From the store's records to the messages of the .proto files. */
#ifndef MOTE_SERVICES_CONVERT_H
#define MOTE_SERVICES_CONVERT_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"
#include "user/v1/user.mote.h"

#define MOTE_CONVERT_ETAG_LENGTH 16u
#define MOTE_CONVERT_ROLES_MAX   4u

/* `wall_ns` since 1970, also before. */
google_protobuf_Timestamp mote_convert_time(int64_t wall_ns);
/* The roles of these bits (enum mote_role_bit) in the order of their numbers; how many there are. */
pb_size_t mote_convert_roles(user_v1_Role out[MOTE_CONVERT_ROLES_MAX], uint32_t bits);
/* A user as everyone who may see it sees it; never the password hash. */
void mote_convert_user(user_v1_User *out, const struct mote_user *user);
/* The version that an etag stands for; 0, which no user has, for one that is not of our making. */
uint64_t mote_convert_etag(const char *etag);

#endif
