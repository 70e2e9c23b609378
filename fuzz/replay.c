/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over inputs that are there already: fuzz_<target>_replay FILE|FOLDER…, in any build, without
 * libFuzzer. A folder's files are run in the order of their names, so that a run repeats. Each name is printed before
 * its input runs: the last one printed is the one that failed. Nothing to run is a failure too.
 */
#include <dirent.h>
#include <sys/stat.h>

#include "fuzz.h"

static size_t inputs_run;

static int run_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return -1;
    }
    /* Of its exact size, so that the sanitizer sees every byte read outside it. */
    uint8_t *data = malloc(size != 0 ? size : 1);
    const bool whole = data != NULL && fread(data, 1, size, file) == size;
    (void)fclose(file);
    if (whole) {
        (void)printf("%s\n", path);
        (void)fflush(stdout);
        (void)LLVMFuzzerTestOneInput(data, size);
        inputs_run++;
    } else {
        (void)fprintf(stderr, "%s: could not be read whole\n", path);
    }
    free(data);
    return whole ? 0 : -1;
}

static int run_path(const char *path);

static int run_folder(const char *path)
{
    struct dirent **entries;
    const int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        perror(path);
        return -1;
    }
    int result = 0;
    for (int i = 0; i < count; i++) {
        char inner[4096];
        const int length = snprintf(inner, sizeof(inner), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.' && result == 0) {
            result = (size_t)length < sizeof(inner) ? run_path(inner) : -1;
        }
        free(entries[i]);
    }
    free(entries);
    return result;
}

static int run_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        perror(path);
        return -1;
    }
    return S_ISDIR(status.st_mode) ? run_folder(path) : run_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (run_path(argv[i]) != 0) {
            return 1;
        }
    }
    (void)printf("%zu inputs\n", inputs_run);
    return inputs_run != 0 ? 0 : 1;
}
