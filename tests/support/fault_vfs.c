/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each file is the system's own behind a thin shell. For the power loss a remembered file has an image of what is
 * durable and a list of the writes and truncations after the last sync; a sync applies the list to the image. Shared
 * memory is not durable and is passed through, as are locks.
 */
#include "support/fault_vfs.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"

#define REMEMBERED_MAX 8u
#define SECTOR         512

struct pending {
    struct pending *next;
    sqlite3_int64 offset;
    int length; /* -1: a truncation to `offset` */
    unsigned char bytes[];
};

struct remembered {
    char path[256];
    unsigned char *image;
    size_t length;
    size_t room;
    struct pending *first;
    struct pending **last;
};

struct shell {
    sqlite3_file base;
    int kind; /* of enum fault_file, 0: another file */
    struct remembered *remembered;
    sqlite3_file *inner;
};

struct fault_disk fault_disk;

static sqlite3_vfs vfs;
static sqlite3_vfs *system_vfs;
static char remembered_folder[128];                       /* "": nothing is remembered */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards what is remembered */
static struct remembered files[REMEMBERED_MAX];

/* --- faults ----------------------------------------------------------------------------------------------------- */

void fault_set(struct fault *fault, int kinds, int code, int number, int times)
{
    fault->code = code;
    fault->number = number;
    fault->times = times;
    fault->files = kinds;
}

void fault_vfs_heal(void)
{
    fault_disk.on_read.files = 0;
    fault_disk.on_write.files = 0;
    fault_disk.on_sync.files = 0;
    fault_disk.sync_delay_ms = 0;
}

/* 0, or the code of a fault that strikes now. */
static int strike(struct fault *fault, int kind)
{
    if ((fault->files & kind) == 0 || fault->times == 0) {
        return SQLITE_OK;
    }
    if (fault->times > 0) {
        fault->times--;
    }
    errno = fault->number;
    return fault->code;
}

/* --- memory of the disk ----------------------------------------------------------------------------------------- */

static void resize(struct remembered *file, size_t length)
{
    if (length > file->room) {
        file->room = 2 * length;
        file->image = realloc(file->image, file->room);
        mote_assert(file->image != NULL);
    }
    if (length > file->length) {
        memset(file->image + file->length, 0, length - file->length);
    }
    file->length = length;
}

static void apply(struct remembered *file, const struct pending *pending, sqlite3_int64 from, sqlite3_int64 to)
{
    if (pending->length < 0) {
        resize(file, (size_t)pending->offset);
    } else if (from < to) {
        size_t end = (size_t)(pending->offset + to);
        if (end > file->length) {
            resize(file, end);
        }
        memcpy(file->image + pending->offset + from, pending->bytes + from, (size_t)(to - from));
    }
}

static void add_pending(struct remembered *file, sqlite3_int64 offset, const void *bytes, int length)
{
    if (file == NULL) {
        return;
    }
    struct pending *pending = malloc(sizeof *pending + (length > 0 ? (size_t)length : 0));
    mote_assert(pending != NULL);
    pending->next = NULL;
    pending->offset = offset;
    pending->length = length;
    if (length > 0) {
        memcpy(pending->bytes, bytes, (size_t)length);
    }
    pthread_mutex_lock(&mutex);
    *file->last = pending;
    file->last = &pending->next;
    pthread_mutex_unlock(&mutex);
}

static void make_durable(struct remembered *file)
{
    if (file == NULL) {
        return;
    }
    pthread_mutex_lock(&mutex);
    while (file->first != NULL) {
        struct pending *pending = file->first;
        file->first = pending->next;
        apply(file, pending, 0, pending->length);
        free(pending);
    }
    file->last = &file->first;
    pthread_mutex_unlock(&mutex);
}

/* A file that exists already is taken as durable as it is. */
static void load_image(struct remembered *file)
{
    FILE *stream = fopen(file->path, "rb");
    mote_assert(stream != NULL);
    mote_assert(fseek(stream, 0, SEEK_END) == 0);
    resize(file, (size_t)ftell(stream));
    rewind(stream);
    mote_assert(file->length == 0 || fread(file->image, file->length, 1, stream) == 1);
    fclose(stream);
}

static struct remembered *remember(const char *path)
{
    struct remembered *file = NULL;
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < REMEMBERED_MAX && file == NULL; i++) {
        if (files[i].path[0] == '\0') {
            file = &files[i];
            snprintf(file->path, sizeof file->path, "%s", path);
            file->last = &file->first;
            load_image(file);
        } else if (strcmp(files[i].path, path) == 0) {
            file = &files[i];
        }
    }
    pthread_mutex_unlock(&mutex);
    mote_assert(file != NULL);
    return file;
}

void fault_vfs_remember(const char *folder)
{
    snprintf(remembered_folder, sizeof remembered_folder, "%s/", folder);
}

static void lose_power(struct remembered *file, unsigned (*random)(void))
{
    for (struct pending *pending = file->first; pending != NULL; pending = pending->next) {
        unsigned fate = random() % 4;
        sqlite3_int64 cut = 0;
        if (pending->length < 0) {
            if (fate % 2 == 0) {
                apply(file, pending, 0, 0);
            }
            continue;
        }
        cut = (sqlite3_int64)(random() % (unsigned)(pending->length / SECTOR + 1)) * SECTOR;
        if (fate == 1) {
            apply(file, pending, 0, cut);
        } else if (fate == 2) {
            apply(file, pending, cut, pending->length);
        } else if (fate == 3) {
            apply(file, pending, 0, pending->length);
        }
    }
}

/* A copy to play the end on: the real one goes on. */
static void copy_image(struct remembered *copy, const struct remembered *file)
{
    *copy = (struct remembered){.first = file->first};
    resize(copy, file->length);
    if (file->length > 0) {
        memcpy(copy->image, file->image, file->length);
    }
}

void fault_vfs_power_loss(const char *folder, unsigned (*random)(void))
{
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < REMEMBERED_MAX && files[i].path[0] != '\0'; i++) {
        char path[256];
        struct remembered copy;
        copy_image(&copy, &files[i]);
        lose_power(&copy, random);
        snprintf(path, sizeof path, "%s%s", folder, strrchr(files[i].path, '/'));
        FILE *stream = fopen(path, "wb");
        mote_assert(stream != NULL);
        mote_assert(copy.length == 0 || fwrite(copy.image, copy.length, 1, stream) == 1);
        fclose(stream);
        free(copy.image);
    }
    pthread_mutex_unlock(&mutex);
}

/* --- methods of a file ------------------------------------------------------------------------------------------ */

static struct shell *shell_of(sqlite3_file *file)
{
    return (struct shell *)(void *)file;
}

static sqlite3_file *inner_of(sqlite3_file *file)
{
    return shell_of(file)->inner;
}

static int close_file(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xClose(inner_of(file));
}

static int read_file(sqlite3_file *file, void *bytes, int length, sqlite3_int64 offset)
{
    int code = strike(&fault_disk.on_read, shell_of(file)->kind);
    return code != SQLITE_OK ? code : inner_of(file)->pMethods->xRead(inner_of(file), bytes, length, offset);
}

static int write_file(sqlite3_file *file, const void *bytes, int length, sqlite3_int64 offset)
{
    int code = strike(&fault_disk.on_write, shell_of(file)->kind);
    if (code == SQLITE_OK) {
        code = inner_of(file)->pMethods->xWrite(inner_of(file), bytes, length, offset);
        add_pending(shell_of(file)->remembered, offset, bytes, length);
    }
    return code;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 length)
{
    add_pending(shell_of(file)->remembered, length, NULL, -1);
    return inner_of(file)->pMethods->xTruncate(inner_of(file), length);
}

static int sync_file(sqlite3_file *file, int flags)
{
    fault_disk.syncs += shell_of(file)->kind == FAULT_LOG ? 1 : 0;
    if (fault_disk.sync_delay_ms > 0) {
        usleep((unsigned)fault_disk.sync_delay_ms * 1000);
    }
    int code = strike(&fault_disk.on_sync, shell_of(file)->kind);
    if (code == SQLITE_OK) {
        make_durable(shell_of(file)->remembered);
    }
    (void)flags; /* the real disk is not what is tested, and its syncs are slow */
    return code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return inner_of(file)->pMethods->xFileSize(inner_of(file), size);
}

static int lock_file(sqlite3_file *file, int level)
{
    return inner_of(file)->pMethods->xLock(inner_of(file), level);
}

static int unlock_file(sqlite3_file *file, int level)
{
    return inner_of(file)->pMethods->xUnlock(inner_of(file), level);
}

static int check_lock(sqlite3_file *file, int *result)
{
    return inner_of(file)->pMethods->xCheckReservedLock(inner_of(file), result);
}

static int control_file(sqlite3_file *file, int operation, void *argument)
{
    return inner_of(file)->pMethods->xFileControl(inner_of(file), operation, argument);
}

static int sector_size(sqlite3_file *file)
{
    return inner_of(file)->pMethods->xSectorSize(inner_of(file));
}

/* Without the promises of the system's: a power loss of this disk leaves no sector out of danger but the one it is in.
 */
static int characteristics(sqlite3_file *file)
{
    return shell_of(file)->remembered != NULL ? 0 : inner_of(file)->pMethods->xDeviceCharacteristics(inner_of(file));
}

static int map_shared(sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
    return inner_of(file)->pMethods->xShmMap(inner_of(file), page, size, extend, out);
}

static int lock_shared(sqlite3_file *file, int offset, int count, int flags)
{
    return inner_of(file)->pMethods->xShmLock(inner_of(file), offset, count, flags);
}

static void barrier_shared(sqlite3_file *file)
{
    inner_of(file)->pMethods->xShmBarrier(inner_of(file));
}

static int unmap_shared(sqlite3_file *file, int remove_too)
{
    return inner_of(file)->pMethods->xShmUnmap(inner_of(file), remove_too);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = close_file,
    .xRead = read_file,
    .xWrite = write_file,
    .xTruncate = truncate_file,
    .xSync = sync_file,
    .xFileSize = file_size,
    .xLock = lock_file,
    .xUnlock = unlock_file,
    .xCheckReservedLock = check_lock,
    .xFileControl = control_file,
    .xSectorSize = sector_size,
    .xDeviceCharacteristics = characteristics,
    .xShmMap = map_shared,
    .xShmLock = lock_shared,
    .xShmBarrier = barrier_shared,
    .xShmUnmap = unmap_shared,
};

static int open_file(sqlite3_vfs *self, const char *path, sqlite3_file *file, int flags, int *out_flags)
{
    struct shell *shell = shell_of(file);
    (void)self;
    memset(shell, 0, sizeof *shell);
    shell->inner = (sqlite3_file *)(void *)(shell + 1);
    int code = system_vfs->xOpen(system_vfs, path, shell->inner, flags, out_flags);
    if (code != SQLITE_OK) {
        return code; /* pMethods is NULL: there is nothing to close */
    }
    shell->kind = (flags & SQLITE_OPEN_MAIN_DB) != 0 ? FAULT_DATABASE : (flags & SQLITE_OPEN_WAL) != 0 ? FAULT_LOG : 0;
    bool is_inside = strncmp(path, remembered_folder, strlen(remembered_folder)) == 0;
    if (remembered_folder[0] != '\0' && is_inside && shell->kind != 0) {
        shell->remembered = remember(path);
    }
    shell->base.pMethods = &methods;
    return SQLITE_OK;
}

void fault_vfs_install(void)
{
    system_vfs = sqlite3_vfs_find(NULL);
    vfs = *system_vfs;
    vfs.zName = "fault";
    vfs.szOsFile = (int)sizeof(struct shell) + system_vfs->szOsFile;
    vfs.xOpen = open_file;
    vfs.pNext = NULL;
    mote_assert(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}
