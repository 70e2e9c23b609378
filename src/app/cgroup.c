/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /proc/self/cgroup tells the process's path in each hierarchy, /proc/self/mountinfo where a hierarchy is mounted and
 * which of its folders is the top there (in a container, often the container's own). From the process's folder upwards
 * to the mount point each limit is read, and the smallest holds. What cannot be read or is odd is no limit.
 */
#include "app/cgroup.h"

#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define PATH_ROOM 1024u
#define FILE_ROOM 65536u /* of mountinfo, which is the longest */

/* A hierarchy: v2 has one with the empty controller; v1 has one for each set of controllers. */
struct hierarchy {
    const char *controller; /* "cpu", "memory"; "" for v2 */
    char folder[PATH_ROOM]; /* the process's, under `root` */
    size_t top_length;      /* of the part of it that is the mount point */
};

/* --- files ------------------------------------------------------------------------------------------------------- */

/* The whole file, NUL-terminated; false when it cannot be read or is longer. */
static bool read_file(const char *root, const char *path, char *out, size_t size)
{
    char full[2 * PATH_ROOM];
    int written = snprintf(full, sizeof full, "%s%s", root, path);
    if (written < 0 || (size_t)written >= sizeof full) {
        return false;
    }
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t length = 0;
    ssize_t got = 1;
    while (got > 0 && length < size - 1) {
        got = read(fd, out + length, size - 1 - length);
        length += got > 0 ? (size_t)got : 0;
    }
    close(fd);
    out[length] = '\0';
    return got == 0;
}

/* The next line of *rest, cut out of it; NULL at the end. */
static char *next_line(char **rest)
{
    char *line = *rest;
    if (line == NULL || *line == '\0') {
        return NULL;
    }
    char *end = strchr(line, '\n');
    if (end != NULL) {
        *end = '\0';
    }
    *rest = end != NULL ? end + 1 : NULL;
    return line;
}

static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* --- where the process is ------------------------------------------------------------------------------------------
 */

/* "4:cpu,cpuacct:/path" (v1), "0::/path" (v2). */
static bool find_path(const char *root, const char *controller, char path[PATH_ROOM], char *room)
{
    char *rest = room;
    char *line;
    if (!read_file(root, "/proc/self/cgroup", room, FILE_ROOM)) {
        return false;
    }
    while ((line = next_line(&rest)) != NULL) {
        char *controllers = strchr(line, ':');
        char *place = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (place == NULL) {
            continue;
        }
        *place = '\0';
        bool is_it = controller[0] == '\0' ? controllers[1] == '\0' : list_has(controllers + 1, controller);
        if (is_it && strlen(place + 1) < PATH_ROOM) {
            memcpy(path, place + 1, strlen(place + 1) + 1);
            return true;
        }
    }
    return false;
}

/* One line of mountinfo: "36 35 0:30 /top /mount/point rw … - cgroup2 cgroup2 rw,cpu". */
static bool parse_mount(char *line, const char *controller, char **top, char **point)
{
    char *after = strstr(line, " - ");
    char *state = NULL;
    char *word = strtok_r(line, " ", &state);
    if (after == NULL) {
        return false;
    }
    for (int i = 0; word != NULL && i < 3; i++) {
        word = strtok_r(NULL, " ", &state);
    }
    *top = word;
    *point = strtok_r(NULL, " ", &state);
    if (*top == NULL || *point == NULL) {
        return false;
    }
    char *type = strtok_r(after + 3, " ", &state);
    char *source = strtok_r(NULL, " ", &state);
    char *options = strtok_r(NULL, " ", &state);
    if (type == NULL || source == NULL) {
        return false;
    }
    if (controller[0] == '\0') {
        return strcmp(type, "cgroup2") == 0;
    }
    return strcmp(type, "cgroup") == 0 && options != NULL && list_has(options, controller);
}

/* Puts mount point and path together; what the mount's top already is, is not said twice. */
static bool join(struct hierarchy *out, const char *top, const char *point, const char *path)
{
    size_t top_length = strcmp(top, "/") == 0 ? 0 : strlen(top);
    bool is_below = strncmp(path, top, top_length) == 0 && (path[top_length] == '/' || path[top_length] == '\0');
    const char *below = is_below ? path + top_length : "";
    if (strstr(below, "..") != NULL || strcmp(below, "/") == 0) {
        below = "";
    }
    int written = snprintf(out->folder, sizeof out->folder, "%s%s", point, below);
    out->top_length = strlen(point);
    return written > 0 && (size_t)written < sizeof out->folder;
}

static bool find_hierarchy(const char *root, const char *controller, struct hierarchy *out)
{
    char room[FILE_ROOM];
    char path[PATH_ROOM];
    char *rest = room;
    char *line;
    char *top, *point;
    out->controller = controller;
    if (!find_path(root, controller, path, room) || !read_file(root, "/proc/self/mountinfo", room, sizeof room)) {
        return false;
    }
    while ((line = next_line(&rest)) != NULL) {
        if (parse_mount(line, controller, &top, &point) && join(out, top, point, path)) {
            return true;
        }
    }
    return false;
}

/* --- limits ------------------------------------------------------------------------------------------------------ */

static bool parse_number(const char *text, uint64_t *out)
{
    size_t length = strspn(text, "0123456789");
    return length > 0 && mote_decimal_parse(out, mote_slice(text, length), UINT64_MAX) == 0;
}

static bool read_in(const char *root, const char *folder, const char *name, char *out, size_t size)
{
    char path[PATH_ROOM + 64];
    int written = snprintf(path, sizeof path, "%s/%s", folder, name);
    return written > 0 && (size_t)written < sizeof path && read_file(root, path, out, size);
}

static uint64_t percent_of(uint64_t quota, uint64_t period)
{
    if (period == 0 || quota > UINT64_MAX / 200 || period > UINT64_MAX / 2) {
        return UINT64_MAX;
    }
    return (quota * 100 + period - 1) / period;
}

static uint64_t cpu_of_v2(const char *root, const char *folder)
{
    char text[64]; /* "max 100000" or "150000 100000" */
    uint64_t quota, period;
    if (!read_in(root, folder, "cpu.max", text, sizeof text) || !parse_number(text, &quota)) {
        return UINT64_MAX;
    }
    const char *second = strchr(text, ' ');
    return second != NULL && parse_number(second + 1, &period) ? percent_of(quota, period) : UINT64_MAX;
}

static uint64_t cpu_of_v1(const char *root, const char *folder)
{
    char text[64]; /* "-1" without a quota */
    uint64_t quota, period;
    if (!read_in(root, folder, "cpu.cfs_quota_us", text, sizeof text) || !parse_number(text, &quota) ||
        !read_in(root, folder, "cpu.cfs_period_us", text, sizeof text) || !parse_number(text, &period)) {
        return UINT64_MAX;
    }
    return percent_of(quota, period);
}

static uint64_t memory_of(const char *root, const char *folder, const char *name)
{
    char text[64];
    uint64_t limit;
    return read_in(root, folder, name, text, sizeof text) && parse_number(text, &limit) ? limit : UINT64_MAX;
}

static uint64_t memory_of_v2(const char *root, const char *folder)
{
    return memory_of(root, folder, "memory.max");
}

static uint64_t memory_of_v1(const char *root, const char *folder)
{
    return memory_of(root, folder, "memory.limit_in_bytes");
}

/* The smallest value on the way from the process's folder up to the mount point. */
static uint64_t smallest(const char *root, const char *controller,
                         uint64_t (*value_of)(const char *root, const char *folder))
{
    struct hierarchy hierarchy;
    uint64_t least = UINT64_MAX;
    if (!find_hierarchy(root, controller, &hierarchy)) {
        return UINT64_MAX;
    }
    for (;;) {
        uint64_t value = value_of(root, hierarchy.folder);
        char *slash = strrchr(hierarchy.folder, '/');
        least = value < least ? value : least;
        if (slash == NULL || (size_t)(slash - hierarchy.folder) < hierarchy.top_length) {
            return least;
        }
        *slash = '\0';
    }
}

uint64_t mote_cgroup_cpu_percent(const char *root)
{
    uint64_t v2 = smallest(root, "", cpu_of_v2);
    uint64_t v1 = smallest(root, "cpu", cpu_of_v1);
    return v2 < v1 ? v2 : v1;
}

uint64_t mote_cgroup_memory_limit(const char *root)
{
    uint64_t v2 = smallest(root, "", memory_of_v2);
    uint64_t v1 = smallest(root, "memory", memory_of_v1);
    return v2 < v1 ? v2 : v1;
}

size_t mote_cgroup_processors(const char *root)
{
    cpu_set_t set;
    size_t processors = 1;
    uint64_t percent = mote_cgroup_cpu_percent(root);
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) {
        processors = (size_t)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN); /* more processors than a cpu_set_t holds */
        processors = online > 0 ? (size_t)online : 1;
    }
    if (percent != UINT64_MAX && (percent + 99) / 100 < processors) {
        processors = (size_t)((percent + 99) / 100);
    }
    return processors > 0 ? processors : 1;
}

uint64_t mote_cgroup_memory(const char *root)
{
    uint64_t limit = mote_cgroup_memory_limit(root);
    long pages = sysconf(_SC_PHYS_PAGES);
    long page = sysconf(_SC_PAGESIZE);
    uint64_t physical = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : UINT64_MAX;
    return limit < physical ? limit : physical;
}
