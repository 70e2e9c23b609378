/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process may use of the machine: processors by affinity and cgroup quota, memory by cgroup limit. Both
 * cgroup versions; a limit counts wherever it stands between the process's own group and the top.
 */
#ifndef MOTE_APP_CGROUP_H
#define MOTE_APP_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/* `root` is "" for the real system; tests give a folder with files like those of /proc and /sys. */

/* Processors, in hundredths, rounded up, that the quota allows; UINT64_MAX without a quota. */
uint64_t mote_cgroup_cpu_percent(const char *root);
/* Bytes; UINT64_MAX without a limit. */
uint64_t mote_cgroup_memory_limit(const char *root);

/* The threads that can run at once, at least 1: the smaller of affinity and quota, a part of a processor counting as a
 * whole one. */
size_t mote_cgroup_processors(const char *root);
/* The smaller of the limit and the machine's memory, in bytes. */
uint64_t mote_cgroup_memory(const char *root);

#endif
