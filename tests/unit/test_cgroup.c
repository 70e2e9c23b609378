/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc and /sys say about a process's share of the machine, in folders made up for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/cgroup.h"

#define NONE UINT64_MAX

struct file {
    const char *path, *content;
};

/* The mount lines of a machine with version 2 only, with version 1, with both. */
#define V2_MOUNT "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_CPU   "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
#define V1_MEM   "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
#define OTHERS   "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n24 22 0:22 / /proc rw - proc proc rw\n"

#define SELF   "/proc/self/cgroup"
#define MOUNTS "/proc/self/mountinfo"

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void make_file(const char *root, const struct file *file)
{
    char path[512];
    snprintf(path, sizeof path, "%s%s", root, file->path);
    for (char *slash = path + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(file->content, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static const struct machine {
    const char *what;
    struct file files[8];
    uint64_t cpu_percent, memory;
} machines[] = {
    {"nothing at all", {{NULL, NULL}}, NONE, NONE},
    {"no cgroups", {{SELF, ""}, {MOUNTS, OTHERS}}, NONE, NONE},
    {"version 2, the root group",
     {{SELF, "0::/\n"},
      {MOUNTS, OTHERS V2_MOUNT},
      {"/sys/fs/cgroup/cpu.max", "150000 100000\n"},
      {"/sys/fs/cgroup/memory.max", "67108864\n"}},
     150,
     67108864},
    {"version 2, no limits",
     {{SELF, "0::/\n"},
      {MOUNTS, V2_MOUNT},
      {"/sys/fs/cgroup/cpu.max", "max 100000\n"},
      {"/sys/fs/cgroup/memory.max", "max\n"}},
     NONE,
     NONE},
    {"version 2, a unit in a slice: the smaller limit of each holds",
     {{SELF, "0::/system.slice/mote.service\n"},
      {MOUNTS, OTHERS V2_MOUNT},
      {"/sys/fs/cgroup/system.slice/cpu.max", "50000 100000\n"},
      {"/sys/fs/cgroup/system.slice/mote.service/cpu.max", "200000 100000\n"},
      {"/sys/fs/cgroup/system.slice/memory.max", "268435456\n"},
      {"/sys/fs/cgroup/system.slice/mote.service/memory.max", "33554432\n"}},
     50,
     33554432},
    {"version 2, a folder above the process's is without files",
     {{SELF, "0::/a/b\n"}, {MOUNTS, V2_MOUNT}, {"/sys/fs/cgroup/memory.max", "1000000\n"}},
     NONE,
     1000000},
    {"version 2, the mount's top is the container's own folder",
     {{SELF, "0::/docker/abc/below\n"},
      {MOUNTS, "29 23 0:26 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
      {"/sys/fs/cgroup/below/memory.max", "2000000\n"},
      {"/sys/fs/cgroup/memory.max", "3000000\n"}},
     NONE,
     2000000},
    {"version 2, the process's folder is outside of what is mounted",
     {{SELF, "0::/../../other\n"}, {MOUNTS, V2_MOUNT}, {"/sys/fs/cgroup/memory.max", "4000000\n"}},
     NONE,
     4000000},
    {"version 1",
     {{SELF, "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n"},
      {MOUNTS, OTHERS V1_CPU V1_MEM},
      {"/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us", "25000\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n"},
      {"/sys/fs/cgroup/memory/box/memory.limit_in_bytes", "33554432\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"}},
     25,
     33554432},
    {"version 1, no quota",
     {{SELF, "5:cpu,cpuacct:/\n4:memory:/\n"},
      {MOUNTS, V1_CPU V1_MEM},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
      {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}},
     NONE,
     NONE},
    {"version 1 in a container that sees the machine's paths",
     {{SELF, "4:memory:/docker/abc\n"},
      {MOUNTS, "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"},
      {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "5000000\n"}},
     NONE,
     5000000},
    {"cpuset is not cpu",
     {{SELF, "5:cpuset:/\n3:cpuacct:/\n"},
      {MOUNTS, "32 31 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n"},
      {"/sys/fs/cgroup/cpuset/cpu.cfs_quota_us", "1\n"},
      {"/sys/fs/cgroup/cpuset/cpu.cfs_period_us", "1\n"}},
     NONE,
     NONE},
    {"odd contents are no limit",
     {{SELF, "0::/\nnonsense\n:\n::\n"},
      {MOUNTS, "\nshort\n1 2 3 4\n- cgroup2\n" V2_MOUNT},
      {"/sys/fs/cgroup/cpu.max", "100000 0\n"},
      {"/sys/fs/cgroup/memory.max", "99999999999999999999999\n"}},
     NONE,
     NONE},
    {"a quota without a period",
     {{SELF, "0::/\n"}, {MOUNTS, V2_MOUNT}, {"/sys/fs/cgroup/cpu.max", "100000"}},
     NONE,
     NONE},
};

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        char root[] = "/tmp/mote-cgroup-XXXXXX";
        assert_non_null(mkdtemp(root));
        for (size_t k = 0; k < 8 && machines[i].files[k].path != NULL; k++) {
            make_file(root, &machines[i].files[k]);
        }
        uint64_t cpu_percent = mote_cgroup_cpu_percent(root);
        uint64_t memory = mote_cgroup_memory_limit(root);
        if (cpu_percent != machines[i].cpu_percent || memory != machines[i].memory) {
            fail_msg("%s: cpu %llu, memory %llu", machines[i].what, (unsigned long long)cpu_percent,
                     (unsigned long long)memory);
        }
        assert_int_equal(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    }
}

/* A quota of a part of a processor is one thread; more than there are is as many as there are. */
static void test_processors(void **state)
{
    static const struct {
        const char *quota;
        size_t at_most;
    } rows[] = {{"1000 100000", 1}, {"100000 100000", 1}, {"100001 100000", 2}, {"99900000 100000", 999}};
    size_t without = mote_cgroup_processors("/nowhere");
    (void)state;
    assert_in_range(without, 1, 100000);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char root[] = "/tmp/mote-cgroup-XXXXXX";
        const struct file files[] = {{SELF, "0::/\n"}, {MOUNTS, V2_MOUNT}, {"/sys/fs/cgroup/cpu.max", rows[i].quota}};
        assert_non_null(mkdtemp(root));
        for (size_t k = 0; k < 3; k++) {
            make_file(root, &files[k]);
        }
        size_t expected = rows[i].at_most < without ? rows[i].at_most : without;
        assert_int_equal(mote_cgroup_processors(root), expected);
        assert_int_equal(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    }
}

static void test_memory_is_the_machines_at_most(void **state)
{
    uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    (void)state;
    assert_int_equal(mote_cgroup_memory("/nowhere"), physical);
    assert_in_range(mote_cgroup_memory(""), 1, physical);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_memory_is_the_machines_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
