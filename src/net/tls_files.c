/* SPDX-License-Identifier: Apache-2.0 */
#include "net/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "security/secret.h"

#define FILE_MAX  65536u
#define FILES_MAX (2u * MOTE_TLS_IDENTITIES_MAX + 1u)

struct file {
    char name[1024];
    char *bytes;
    size_t length;
};

struct reading {
    struct file files[FILES_MAX];
    size_t count;
    char *problem; /* MOTE_TLS_FILES_PROBLEM_MAX */
};

size_t mote_tls_files_count(const char *list)
{
    size_t count = 0;
    for (const char *rest = list; rest != NULL && *rest != '\0'; count++) {
        size_t length = strcspn(rest, ",");
        if (length == 0 || (rest[length] == ',' && rest[length + 1] == '\0')) {
            return SIZE_MAX;
        }
        rest += length + (rest[length] == ',');
    }
    return count;
}

/* The item at `index`, which there is; false when it is too long for a file's name. */
static bool copy_item(char name[1024], const char *list, size_t index)
{
    const char *rest = list;
    for (; index > 0; index--) {
        rest += strcspn(rest, ",") + 1;
    }
    size_t length = strcspn(rest, ",");
    if (length >= 1024) {
        return false;
    }
    memcpy(name, rest, length);
    name[length] = '\0';
    return true;
}

static int read_bytes(struct file *file, int fd)
{
    file->bytes = mote_mem_allocate(mote_mem_system(), FILE_MAX + 1);
    if (file->bytes == NULL) {
        return MOTE_ENOMEM;
    }
    for (;;) {
        ssize_t got = read(fd, file->bytes + file->length, FILE_MAX + 1 - file->length);
        if (got < 0) {
            return MOTE_EIO;
        }
        file->length += (size_t)got;
        if (got == 0 || file->length > FILE_MAX) {
            return file->length > FILE_MAX ? MOTE_ELIMIT : 0;
        }
    }
}

static int read_file(struct reading *reading, struct file **out, const char *list, size_t index)
{
    struct file *file = &reading->files[reading->count];
    *out = file;
    if (!copy_item(file->name, list, index)) {
        (void)snprintf(reading->problem, MOTE_TLS_FILES_PROBLEM_MAX, "TLS: a file's name is longer than 1023 bytes");
        return MOTE_EINVAL;
    }
    reading->count++;
    int fd = open(file->name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        int number = errno;
        (void)snprintf(reading->problem, MOTE_TLS_FILES_PROBLEM_MAX, "%.200s: cannot be opened: %s", file->name,
                       strerror(number));
        return number == ENOENT ? MOTE_ENOTFOUND : MOTE_EINVAL;
    }
    int result = read_bytes(file, fd);
    close(fd);
    if (result == MOTE_ELIMIT) {
        (void)snprintf(reading->problem, MOTE_TLS_FILES_PROBLEM_MAX, "%.200s: longer than 64KiB", file->name);
        return MOTE_EINVAL;
    }
    if (result != 0) {
        (void)snprintf(reading->problem, MOTE_TLS_FILES_PROBLEM_MAX, "%.200s: cannot be read", file->name);
        return result == MOTE_ENOMEM ? MOTE_ENOMEM : MOTE_EINVAL;
    }
    return 0;
}

static int read_pem(struct reading *reading, struct mote_tls_pem *pem, const char *list, size_t index)
{
    struct file *file = NULL;
    int result = read_file(reading, &file, list, index);
    if (result == 0) {
        *pem = (struct mote_tls_pem){.file = file->name, .text = mote_slice(file->bytes, file->length)};
    }
    return result;
}

static void dispose(struct reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        struct file *file = &reading->files[i];
        if (file->bytes != NULL) {
            mote_secret_wipe(file->bytes, file->length);
        }
        mote_mem_release(mote_mem_system(), file->bytes);
    }
    mote_mem_release(mote_mem_system(), reading);
}

/* --- changes ---------------------------------------------------------------------------------------------------- */

static void add_to_stamp(uint64_t *stamp, const void *bytes, size_t length)
{
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < length; i++) {
        *stamp = (*stamp ^ byte[i]) * 0x100000001b3u; /* FNV-1a: only whether it changes counts */
    }
}

static void add_files_to_stamp(uint64_t *stamp, const char *list)
{
    size_t count = mote_tls_files_count(list);
    for (size_t i = 0; i < count && count != SIZE_MAX; i++) {
        char name[1024];
        struct stat status;
        if (copy_item(name, list, i) && stat(name, &status) == 0) {
            add_to_stamp(stamp, &status.st_ino, sizeof status.st_ino);
            add_to_stamp(stamp, &status.st_size, sizeof status.st_size);
            add_to_stamp(stamp, &status.st_mtim, sizeof status.st_mtim);
        }
    }
}

static uint64_t make_stamp(const struct mote_tls_files *files)
{
    uint64_t stamp = 0xcbf29ce484222325u;
    add_files_to_stamp(&stamp, files->certificates);
    add_files_to_stamp(&stamp, files->keys);
    add_files_to_stamp(&stamp, files->client_authorities);
    return stamp;
}

bool mote_tls_files_have_changed(struct mote_tls_files *files)
{
    uint64_t stamp = make_stamp(files);
    bool is_another = stamp != files->stamp;
    files->stamp = stamp;
    return is_another;
}

/* --- loading ---------------------------------------------------------------------------------------------------- */

static int read_all(struct reading *reading, const struct mote_tls_files *files, struct mote_tls_options *tls,
                    struct mote_tls_identity *identities)
{
    int result = 0;
    size_t count = mote_tls_files_count(files->certificates);
    if (count > MOTE_TLS_IDENTITIES_MAX || count != mote_tls_files_count(files->keys)) {
        (void)snprintf(reading->problem, MOTE_TLS_FILES_PROBLEM_MAX,
                       "TLS: there must be a key for each certificate, and at most %u of them",
                       MOTE_TLS_IDENTITIES_MAX);
        return MOTE_EINVAL;
    }
    for (size_t i = 0; i < count && result == 0; i++) {
        result = read_pem(reading, &identities[i].certificate, files->certificates, i);
        if (result == 0) {
            result = read_pem(reading, &identities[i].key, files->keys, i);
        }
    }
    tls->identities = identities;
    tls->identity_count = count;
    if (result == 0 && files->client_authorities != NULL) {
        tls->client_auth =
            files->clients_may_be_unknown ? MOTE_TLS_CLIENT_AUTH_OPTIONAL : MOTE_TLS_CLIENT_AUTH_REQUIRED;
        result = read_pem(reading, &tls->authorities, files->client_authorities, 0);
    }
    return result;
}

static int make_context(struct mote_tls_context **out, const struct mote_tls_options *tls, char *problem)
{
    char text[MOTE_TLS_PROBLEM_MAX] = "TLS: out of memory";
    int result = mote_tls_context_new(out, tls, text);
    (void)snprintf(problem, MOTE_TLS_FILES_PROBLEM_MAX, "%s", text);
    return result;
}

static struct reading *new_reading(char *problem)
{
    struct reading *reading = mote_mem_allocate_zeroed(mote_mem_system(), sizeof *reading);
    (void)snprintf(problem, MOTE_TLS_FILES_PROBLEM_MAX, "TLS: out of memory");
    if (reading != NULL) {
        reading->problem = problem;
    }
    return reading;
}

int mote_tls_files_load(struct mote_tls_files *files, struct mote_tls_context **out,
                        char problem[MOTE_TLS_FILES_PROBLEM_MAX])
{
    struct mote_tls_identity identities[MOTE_TLS_IDENTITIES_MAX];
    struct mote_tls_options tls = {
        .key_password = files->key_password, .random = mote_random_system(), .mem = mote_mem_system()};
    *out = NULL;
    if (files->certificates == NULL) {
        return 0;
    }
    struct reading *reading = new_reading(problem);
    if (reading == NULL) {
        return MOTE_ENOMEM;
    }
    files->stamp = make_stamp(files); /* before reading: what changes meanwhile is read again */
    int result = read_all(reading, files, &tls, identities);
    if (result == 0) {
        result = make_context(out, &tls, problem);
    }
    dispose(reading);
    return result;
}

static int read_client(struct reading *reading, const struct mote_tls_client_files *files, struct mote_tls_options *tls,
                       struct mote_tls_identity *identity)
{
    int result = read_pem(reading, &tls->authorities, files->authorities, 0);
    if (result == 0 && files->certificate == NULL && files->key != NULL) {
        (void)snprintf(reading->problem, MOTE_TLS_FILES_PROBLEM_MAX, "%.200s: a key, but no certificate is given",
                       files->key);
        return MOTE_EINVAL;
    }
    if (result == 0 && files->certificate != NULL) {
        tls->identities = identity;
        tls->identity_count = 1;
        result = read_pem(reading, &identity->certificate, files->certificate, 0);
    }
    if (result == 0 && files->certificate != NULL) {
        result = read_pem(reading, &identity->key, files->key != NULL ? files->key : files->certificate, 0);
    }
    return result;
}

int mote_tls_files_load_client(struct mote_tls_context **out, const struct mote_tls_client_files *files,
                               char problem[MOTE_TLS_FILES_PROBLEM_MAX])
{
    struct mote_tls_identity identity;
    struct mote_tls_options tls = {.is_client = true,
                                   .is_pinned = files->is_pinned,
                                   .key_password = files->key_password,
                                   .random = mote_random_system(),
                                   .mem = mote_mem_system()};
    struct reading *reading = new_reading(problem);
    if (reading == NULL) {
        return MOTE_ENOMEM;
    }
    int result = read_client(reading, files, &tls, &identity);
    if (result == 0) {
        result = make_context(out, &tls, problem);
    }
    dispose(reading);
    return result;
}
