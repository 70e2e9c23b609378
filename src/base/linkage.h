/* SPDX-License-Identifier: Apache-2.0 */
/* Around the declarations of each public header, so that C++ programs can include it as it is. */
#ifndef MOTE_BASE_LINKAGE_H
#define MOTE_BASE_LINKAGE_H

#ifdef __cplusplus
#define MOTE_C_BEGIN extern "C" {
#define MOTE_C_END   }
#else
#define MOTE_C_BEGIN
#define MOTE_C_END
#endif

#endif
