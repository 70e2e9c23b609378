/* SPDX-License-Identifier: Apache-2.0 */
#include "services/page.h"

#include "codec/element.h"
#include "services/failure.h"
#include "services/worker.h"

#define LENGTH_BYTES 2u

void mote_page_open(struct mote_page *page, size_t rows_max)
{
    mote_buffer_init(&page->rows, mote_services_worker_of(page->call)->mem, rows_max);
    mote_call_ref(page->call);
}

static int append_row(struct mote_page *page, const struct mote_message_type *type, const void *message)
{
    size_t before = mote_buffer_length(&page->rows);
    int result = mote_buffer_append(&page->rows, "\0\0", LENGTH_BYTES);
    if (result == 0) {
        result = mote_codec_encode(type, message, &page->rows);
    }
    if (result != 0) {
        return result;
    }
    size_t length = mote_buffer_length(&page->rows) - before - LENGTH_BYTES;
    uint8_t *prefix = page->rows.data + page->rows.start + before;
    prefix[0] = (uint8_t)(length >> 8);
    prefix[1] = (uint8_t)length;
    return 0;
}

void mote_page_add(struct mote_page *page, const struct mote_message_type *type, const void *message)
{
    if (page->result == 0) {
        page->result = append_row(page, type, message);
    }
}

bool mote_page_encode(struct pb_ostream_s *stream, const struct pb_field_iter_s *field, void *const *arg)
{
    const struct mote_page *page = *arg;
    struct mote_slice rest = mote_buffer_slice(&page->rows);
    while (rest.length > 0) {
        size_t length = (size_t)rest.data[0] << 8 | rest.data[1];
        if (!mote_element_encode(stream, field, mote_slice(rest.data + LENGTH_BYTES, length))) {
            return false;
        }
        rest = mote_slice(rest.data + LENGTH_BYTES + length, rest.length - LENGTH_BYTES - length);
    }
    return true;
}

void mote_page_finish(struct mote_page *page, int result, int (*reply)(struct mote_page *page))
{
    struct mote_call *call = page->call;
    if (result == 0) {
        result = page->result;
    }
    if (result == 0) {
        result = reply(page);
    }
    if (result != 0) {
        mote_failure_answer_store(call, result);
    }
    mote_buffer_dispose(&page->rows);
    mote_call_unref(call);
}

int mote_page_write_token(const struct mote_page *page, char *out, struct mote_slice cursor)
{
    struct mote_services_worker *worker = mote_services_worker_of(page->call);
    return mote_page_token_make(out, mote_services_worker_keyring(worker), mote_slice_text(page->scope), cursor,
                                mote_services_worker_seconds(worker));
}

const char *mote_page_read_token(const struct mote_page *page, const char *token, uint8_t *cursor, size_t *length)
{
    *length = 0;
    if (token[0] == '\0') {
        return NULL;
    }
    struct mote_services_worker *worker = mote_services_worker_of(page->call);
    int result =
        mote_page_token_read(cursor, length, mote_services_worker_keyring(worker), mote_slice_text(page->scope),
                             mote_slice_text(token), mote_services_worker_seconds(worker));
    if (result == MOTE_EEXPIRED) {
        return "has expired: begin again";
    }
    return result == 0 ? NULL : MOTE_PAGE_TOKEN_FOREIGN;
}
