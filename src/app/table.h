/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows for people in aligned columns. Memory is constant: the rows are held back by pages of MOTE_TABLE_ROWS_MAX, and a
 * column is as wide as its widest cell so far, so a later page may be wider than an earlier one, never narrower. Cells
 * may hold anything: they are escaped. Widths count code points. On a terminal a line is cut at its edge.
 */
#ifndef MOTE_APP_TABLE_H
#define MOTE_APP_TABLE_H

#include <stddef.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

#define MOTE_TABLE_COLUMNS_MAX 10u
#define MOTE_TABLE_ROWS_MAX    200u /* held back before they are written */

struct mote_table {
    FILE *out;
    size_t edge; /* columns of the terminal; 0: none */
    size_t columns;
    size_t widths[MOTE_TABLE_COLUMNS_MAX];
    size_t rows;             /* held back */
    struct mote_buffer text; /* their cells, escaped, each with a NUL */
};

/* Begins a table with these titles, one a column; `out` is borrowed until finish. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_table_init(struct mote_table *table, FILE *out, const char *const *titles, size_t columns);
/* A row: one cell a column; NULL is an empty one. MOTE_ENOMEM. */
MOTE_MUST_CHECK int mote_table_add(struct mote_table *table, const char *const *cells);
/* Writes what is held back and frees it. Also after a failure; once. */
void mote_table_finish(struct mote_table *table);

/* Columns of the terminal behind `out`; 0 when there is none. */
size_t mote_table_terminal_width(FILE *out);

#endif
