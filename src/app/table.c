/* SPDX-License-Identifier: Apache-2.0 */
/* See table.h. */
#include "app/table.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "app/escape.h"
#include "base/text.h"

#define WIDTH_UNKNOWN 80u /* of a terminal that does not tell */

size_t mote_table_terminal_width(FILE *out)
{
    int fd = fileno(out);
    struct winsize size = {0};
    if (fd < 0 || !isatty(fd)) {
        return 0;
    }
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : WIDTH_UNKNOWN;
}

/* `*left` columns are left of the line; the last of them shows that something was cut off. */
static void put_cell(struct mote_table *table, struct mote_slice cell, size_t padding, size_t *left)
{
    while (cell.length > 0 && *left > 0) {
        size_t length = mote_utf8_next(cell, NULL);
        if (*left == 1 && table->edge > 0) {
            fputs("\xe2\x80\xa6", table->out); /* an ellipsis */
            *left = 0;
            return;
        }
        fwrite(cell.data, 1, length, table->out);
        cell = mote_slice(cell.data + length, cell.length - length);
        (*left)--;
    }
    for (; padding > 0 && *left > 1; padding--, (*left)--) {
        fputc(' ', table->out);
    }
}

/* Returns what follows the row. */
static const char *put_row(struct mote_table *table, const char *cell)
{
    size_t left = table->edge > 0 ? table->edge : SIZE_MAX;
    size_t padding = 0; /* behind the cell before: an empty end of a row needs none */
    for (size_t i = 0; i < table->columns; i++) {
        struct mote_slice text = mote_slice_text(cell);
        if (text.length > 0) {
            put_cell(table, mote_slice_text(""), padding, &left);
            put_cell(table, text, 0, &left);
            padding = 0;
        }
        padding += table->widths[i] + 2 - mote_utf8_count(text);
        cell += text.length + 1;
    }
    fputc('\n', table->out);
    return cell;
}

static void flush(struct mote_table *table)
{
    const char *cell = (const char *)mote_buffer_slice(&table->text).data;
    for (; table->rows > 0; table->rows--) {
        cell = put_row(table, cell);
    }
    mote_buffer_clear(&table->text);
}

/* Appends the cell with its NUL; `width` becomes its code points. */
static int append_cell(struct mote_buffer *buffer, const char *cell, size_t *width)
{
    struct mote_slice rest = mote_slice_text(cell != NULL ? cell : "");
    char escaped[MOTE_ESCAPE_MAX];
    int error = 0;
    *width = 0;
    while (rest.length > 0 && error == 0) {
        size_t length = mote_escape_next(escaped, &rest, false);
        *width += mote_utf8_count(mote_slice(escaped, length));
        error = mote_buffer_append(buffer, escaped, length);
    }
    return error == 0 ? mote_buffer_append(buffer, "", 1) : error;
}

int mote_table_init(struct mote_table *table, FILE *out, const char *const *titles, size_t columns)
{
    *table = (struct mote_table){.out = out, .edge = mote_table_terminal_width(out), .columns = columns};
    mote_buffer_init(&table->text, mote_mem_system(), 0);
    return mote_table_add(table, titles);
}

int mote_table_add(struct mote_table *table, const char *const *cells)
{
    size_t width;
    if (table->rows == MOTE_TABLE_ROWS_MAX) {
        flush(table);
    }
    for (size_t i = 0; i < table->columns; i++) {
        int error = append_cell(&table->text, cells[i], &width);
        if (error != 0) {
            return error;
        }
        table->widths[i] = width > table->widths[i] ? width : table->widths[i];
    }
    table->rows++;
    return 0;
}

void mote_table_finish(struct mote_table *table)
{
    flush(table);
    mote_buffer_dispose(&table->text);
}
