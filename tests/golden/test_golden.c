/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the cases of the files given (README.md says how they are written); the first that differs ends the run. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "pair/peer.h"
#include "server.h"

/* Longer inputs are cut at so many places only, evenly spread. */
#define CUTS_MAX        400u
#define LINE_MAX_LENGTH 512u

enum section {
    SECTION_PROSE,
    SECTION_BYTES,
    SECTION_EVENTS,
    SECTION_FRAMES,
};

struct golden {
    const char *file;
    char name[128];
    enum golden_answers answers;
    bool whole_only;
    bool alternatives; /* each line is an input of its own */
    char (*lines)[LINE_MAX_LENGTH];
    size_t line_count;
    size_t preface_length; /* bytes of the preface that are given first */
    struct mote_buffer bytes;
    struct mote_buffer events;
    struct mote_buffer frames;
};

static void must(int error)
{
    mote_assert(error == 0);
}

static void golden_init(struct golden *golden, const char *file)
{
    *golden = (struct golden){.file = file};
    mote_buffer_init(&golden->bytes, mote_mem_system(), 0);
    mote_buffer_init(&golden->events, mote_mem_system(), 0);
    mote_buffer_init(&golden->frames, mote_mem_system(), 0);
}

static void golden_dispose(struct golden *golden)
{
    free(golden->lines);
    mote_buffer_dispose(&golden->bytes);
    mote_buffer_dispose(&golden->events);
    mote_buffer_dispose(&golden->frames);
}

/* Two lines "data N length" in a row become one, and " end" at the end of a line a line "end N". */
static void normalise(struct mote_buffer *out, const char *log)
{
    int data_id = 0;
    size_t data_length = 0;
    while (*log != '\0') {
        const char *line_end = strchr(log, '\n');
        char line[256];
        snprintf(line, sizeof line, "%.*s", (int)(line_end - log), log);
        log = line_end + 1;
        int id = 0;
        size_t length = 0;
        const bool ends = strlen(line) > 4 && strcmp(line + strlen(line) - 4, " end") == 0;
        if (ends) {
            line[strlen(line) - 4] = '\0';
        }
        const bool is_data = sscanf(line, "data %d %zu", &id, &length) == 2;
        if (data_id != 0 && (!is_data || id != data_id)) {
            must(mote_buffer_append_format(out, "data %d %zu\n", data_id, data_length));
            data_id = 0;
        }
        if (is_data) {
            data_length = data_id == id ? data_length + length : length;
            data_id = id;
        } else {
            must(mote_buffer_append_format(out, "%s\n", line));
        }
        if (ends) {
            if (data_id != 0) {
                must(mote_buffer_append_format(out, "data %d %zu\n", data_id, data_length));
                data_id = 0;
            }
            (void)sscanf(line, "%*s %d", &id);
            must(mote_buffer_append_format(out, "end %d\n", id));
        }
    }
    if (data_id != 0) {
        must(mote_buffer_append_format(out, "data %d %zu\n", data_id, data_length));
    }
}

/* The stream a line tells of: 0 the connection's, which come first, but for the end, which comes last. */
static long stream_of(const char *line)
{
    char word[32];
    long id = 0;
    if (strncmp(line, "GOAWAY", 6) == 0 || strncmp(line, "goaway", 6) == 0) {
        return LONG_MAX;
    }
    return sscanf(line, "%31s %ld", word, &id) == 2 ? id : 0;
}

/* The lines stream by stream: between streams the order is that of the reads, and no promise. Nor is when credit is
 * given back. */
static void group(struct mote_buffer *lines)
{
    struct mote_buffer grouped;
    mote_buffer_init(&grouped, mote_mem_system(), 0);
    must(mote_buffer_append(lines, "", 1));
    const char *text = (const char *)mote_buffer_slice(lines).data;
    long id = 0;
    bool more = true;
    while (more) {
        long next = LONG_MAX;
        more = false;
        for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
            const long of = stream_of(line);
            if (strncmp(line, "WINDOW_UPDATE ", 14) == 0) {
                continue;
            }
            if (of == id) {
                must(mote_buffer_append(&grouped, line, (size_t)(strchr(line, '\n') - line) + 1));
            } else if (of > id) {
                next = of < next ? of : next;
                more = true;
            }
        }
        id = next;
    }
    mote_buffer_dispose(lines);
    *lines = grouped;
}

/* What happened must be what the case says. */
static bool compare(const struct golden *golden, const char *how, const char *what, const struct mote_buffer *expected,
                    struct mote_buffer *got)
{
    if (mote_slice_equals(mote_buffer_slice(expected), mote_buffer_slice(got))) {
        return true;
    }
    must(mote_buffer_append(got, "", 1));
    printf("%s: %s, %s: the %s differ. Expected:\n%.*sGot:\n%s", golden->file, golden->name, how, what,
           (int)mote_buffer_length(expected), (const char *)mote_buffer_slice(expected).data,
           (const char *)mote_buffer_slice(got).data);
    return false;
}

/* The preface; then the rest cut at `first`, and from then on in pieces of `chunk`. */
static bool run(struct golden *golden, size_t first, size_t chunk)
{
    struct mote_buffer log;
    struct mote_buffer events;
    struct mote_buffer frames;
    struct mote_slice rest = mote_buffer_slice(&golden->bytes);
    char how[64];
    mote_buffer_init(&log, mote_mem_system(), 0);
    mote_buffer_init(&events, mote_mem_system(), 0);
    mote_buffer_init(&frames, mote_mem_system(), 0);
    struct golden_server *server = golden_server_new(golden->answers);
    bool more = golden_server_feed(server, mote_slice(rest.data, golden->preface_length), &frames);
    rest = mote_slice(rest.data + golden->preface_length, rest.length - golden->preface_length);
    size_t piece = first;
    while (rest.length != 0 && more) {
        const size_t taken = rest.length < piece ? rest.length : piece;
        more = golden_server_feed(server, mote_slice(rest.data, taken), &frames);
        rest = mote_slice(rest.data + taken, rest.length - taken);
        piece = chunk;
    }
    golden_server_take_events(server, &log);
    group(&log);
    must(mote_buffer_append(&log, "", 1));
    normalise(&events, (const char *)mote_buffer_slice(&log).data);
    group(&frames);
    snprintf(how, sizeof how, "cut at %zu and then every %zu bytes", first, chunk);
    const bool good = compare(golden, how, "events", &golden->events, &events) &&
                      compare(golden, how, "frames", &golden->frames, &frames);
    golden_server_free(server);
    mote_buffer_dispose(&log);
    mote_buffer_dispose(&events);
    mote_buffer_dispose(&frames);
    return good;
}

static bool run_all_ways(struct golden *golden)
{
    const size_t length = mote_buffer_length(&golden->bytes) - golden->preface_length;
    if (!run(golden, length, length)) {
        return false;
    }
    if (golden->whole_only) {
        return true;
    }
    bool good = run(golden, 1, 1);
    for (size_t cut = 1; cut < length && good; cut += 1 + length / CUTS_MAX) {
        good = run(golden, cut, length);
    }
    return good;
}

static void append_request(struct mote_buffer *bytes, uint32_t id)
{
    struct mote_buffer block;
    mote_buffer_init(&block, mote_mem_system(), 0);
    must(mote_buffer_append(&block, "\x83\x86", 2));
    mote_peer_field(&block, ":path", "/a.B/C");
    mote_peer_field(&block, ":authority", "a");
    mote_peer_field(&block, "te", "trailers");
    mote_peer_frame(bytes, PEER_HEADERS, PEER_END_HEADERS, id, mote_buffer_slice(&block));
    mote_buffer_dispose(&block);
}

static void append_call(struct mote_buffer *bytes, uint32_t id)
{
    struct mote_buffer block;
    mote_buffer_init(&block, mote_mem_system(), 0);
    must(mote_buffer_append(&block, "\x83\x86", 2));
    mote_peer_field(&block, ":path", "/foo/bar");
    mote_peer_field(&block, ":authority", "localhost");
    mote_peer_field(&block, "content-type", "application/grpc");
    mote_peer_field(&block, "te", "trailers");
    mote_peer_frame(bytes, PEER_HEADERS, PEER_END_HEADERS, id, mote_buffer_slice(&block));
    mote_buffer_dispose(&block);
}

static void append_byte(struct mote_buffer *bytes, unsigned byte, unsigned times)
{
    const uint8_t value = (uint8_t)byte;
    for (unsigned i = 0; i < times; i++) {
        must(mote_buffer_append(bytes, &value, 1));
    }
}

/* What stands in one line: hexadecimal digits, text between quotes, "1000*61". False when it cannot be read. */
static bool read_tokens(struct mote_buffer *bytes, const char *line)
{
    while (*line != '\0' && *line != '#') {
        unsigned byte;
        unsigned times;
        int length = 0;
        if (*line == ' ') {
            line++;
        } else if (*line == '"' && strchr(line + 1, '"') != NULL) {
            const char *end = strchr(line + 1, '"');
            must(mote_buffer_append(bytes, line + 1, (size_t)(end - line - 1)));
            line = end + 1;
        } else if (sscanf(line, "%5u*%2x%n", &times, &byte, &length) == 2 && length != 0) {
            append_byte(bytes, byte, times);
            line += length;
        } else if (isxdigit((unsigned char)line[0]) && isxdigit((unsigned char)line[1]) &&
                   sscanf(line, "%2x", &byte) == 1) {
            append_byte(bytes, byte, 1);
            line += 2;
        } else {
            return false;
        }
    }
    return true;
}

/* The line with this byte in the place of "**". */
static bool read_with(struct mote_buffer *bytes, const char *line, unsigned byte)
{
    char text[LINE_MAX_LENGTH];
    char digits[3];
    snprintf(text, sizeof text, "%s", line);
    char *place = strstr(text, "**");
    if (place == NULL) {
        return false;
    }
    snprintf(digits, sizeof digits, "%02x", byte);
    memcpy(place, digits, 2);
    return read_tokens(bytes, text);
}

/* One line of a `bytes` block; false when it cannot be read. */
static bool read_bytes(struct golden *golden, const char *line)
{
    struct mote_buffer *bytes = &golden->bytes;
    unsigned first;
    unsigned last;
    int length = 0;
    bool good = true;
    if (strcmp(line, "preface") == 0) {
        mote_peer_preface(bytes);
        mote_peer_settings_ack(bytes);
        golden->preface_length = mote_buffer_length(bytes);
    } else if (sscanf(line, "request %u", &first) == 1) {
        append_request(bytes, first);
    } else if (sscanf(line, "call %u", &first) == 1) {
        append_call(bytes, first);
    } else if (sscanf(line, "times %u:%n", &first, &length) == 1 && length != 0) {
        for (unsigned i = 0; i < first && good; i++) {
            good = read_tokens(bytes, line + length);
        }
    } else if (sscanf(line, "each %2x to %2x:%n", &first, &last, &length) == 2 && length != 0) {
        for (unsigned byte = first; byte <= last && good; byte++) {
            good = read_with(bytes, line + length, byte);
        }
    } else {
        good = read_tokens(bytes, line);
    }
    return good;
}

struct reader {
    struct golden golden;
    enum section section;
    size_t cases;
};

/* A line that has a name is there for each of the alternatives. */
static bool is_common(const char *line)
{
    return strcmp(line, "preface") == 0 || strncmp(line, "request ", 8) == 0 || strncmp(line, "call ", 5) == 0;
}

/* The case with each of its inputs. What is expected stands behind them, so they were only noted. */
static bool run_inputs(struct golden *golden)
{
    bool good = golden->line_count != 0;
    for (size_t i = 0; i < golden->line_count && good; i++) {
        good = read_bytes(golden, golden->lines[i]);
        if (!good) {
            printf("%s: %s: not bytes: %s\n", golden->file, golden->name, golden->lines[i]);
        } else if (golden->alternatives ? !is_common(golden->lines[i]) : i + 1 == golden->line_count) {
            good = run_all_ways(golden);
            mote_buffer_clear(&golden->bytes);
            for (size_t j = 0; j < i; j++) {
                good = good && (!is_common(golden->lines[j]) || read_bytes(golden, golden->lines[j]));
            }
        }
    }
    return good;
}

static bool finish_case(struct reader *reader)
{
    const bool has_case = reader->golden.name[0] != '\0';
    const bool good = !has_case || run_inputs(&reader->golden);
    const char *file = reader->golden.file;
    reader->cases += has_case;
    golden_dispose(&reader->golden);
    golden_init(&reader->golden, file);
    return good;
}

/* A line outside of the blocks. */
static bool read_prose(struct reader *reader, const char *line)
{
    struct golden *golden = &reader->golden;
    if (strncmp(line, "## ", 3) == 0) {
        const bool good = finish_case(reader);
        snprintf(golden->name, sizeof golden->name, "%.*s", (int)sizeof golden->name - 1, line + 3);
        return good;
    }
    if (strcmp(line, "```bytes") == 0) {
        reader->section = SECTION_BYTES;
    } else if (strcmp(line, "```events") == 0) {
        reader->section = SECTION_EVENTS;
    } else if (strcmp(line, "```frames") == 0) {
        reader->section = SECTION_FRAMES;
    } else if (strcmp(line, "- answers: unary") == 0) {
        golden->answers = GOLDEN_ANSWERS_UNARY;
    } else if (strcmp(line, "- answers: early") == 0) {
        golden->answers = GOLDEN_ANSWERS_EARLY;
    } else if (strcmp(line, "- answers: calls") == 0) {
        golden->answers = GOLDEN_ANSWERS_CALLS;
    } else if (strcmp(line, "- each line alone") == 0) {
        golden->alternatives = true;
    } else if (strncmp(line, "- cuts: no", 10) == 0) {
        golden->whole_only = true;
    } else if (strncmp(line, "```", 3) == 0 || strncmp(line, "- ", 2) == 0) {
        printf("%s: %s: not understood: %s\n", golden->file, golden->name, line);
        return false;
    }
    return true;
}

static bool read_line(struct reader *reader, const char *line)
{
    struct golden *golden = &reader->golden;
    if (reader->section == SECTION_PROSE) {
        return read_prose(reader, line);
    }
    if (strcmp(line, "```") == 0) {
        reader->section = SECTION_PROSE;
        return true;
    }
    switch (reader->section) {
    case SECTION_BYTES:
        golden->lines = realloc(golden->lines, (golden->line_count + 1) * sizeof *golden->lines);
        mote_assert(golden->lines != NULL);
        snprintf(golden->lines[golden->line_count++], LINE_MAX_LENGTH, "%s", line);
        break;
    case SECTION_EVENTS:
        must(mote_buffer_append_format(&golden->events, "%s\n", line));
        break;
    case SECTION_FRAMES:
        must(mote_buffer_append_format(&golden->frames, "%s\n", line));
        break;
    case SECTION_PROSE:
        break;
    }
    return true;
}

/* The number of cases in the file, 0 when one failed or there is none. */
static size_t run_file(const char *path)
{
    struct reader reader = {.section = SECTION_PROSE};
    char line[LINE_MAX_LENGTH];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return 0;
    }
    golden_init(&reader.golden, path);
    bool good = true;
    while (good && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        good = read_line(&reader, line);
    }
    good = good && finish_case(&reader);
    golden_dispose(&reader.golden);
    fclose(file);
    return good ? reader.cases : 0;
}

int main(int argc, char **argv)
{
    size_t total = 0;
    for (int i = 1; i < argc; i++) {
        const size_t cases = run_file(argv[i]);
        if (cases == 0) {
            printf("%s: failed\n", argv[i]);
            return 1;
        }
        total += cases;
    }
    printf("%zu cases\n", total);
    return total != 0 ? 0 : 1;
}
