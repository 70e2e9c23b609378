/* SPDX-License-Identifier: Apache-2.0 */
/* Objects of one line: each kind of member, and strings that anybody may have chosen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/json_out.h"

static void test_members(void **state)
{
    static const char *const roles[] = {"ROLE_USER", "ROLE_ADMIN"};
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    struct mote_json_out json;
    (void)state;
    mote_json_out_begin(&json, out);
    mote_json_out_text(&json, "text", "a\"\\\n\x1b\x7f\xc2\x9b\xff\xe2\x80\xae\xf0\x9f\x98\x80");
    mote_json_out_texts(&json, "texts", roles, 2);
    mote_json_out_texts(&json, "none", roles, 0);
    mote_json_out_number(&json, "number", INT64_MIN);
    mote_json_out_bool(&json, "bool", true);
    mote_json_out_time(&json, "seconds", 1000000000);
    mote_json_out_time(&json, "millis", 1001000000);
    mote_json_out_time(&json, "micros", 1000001000);
    mote_json_out_time(&json, "nanos", -1);
    mote_json_out_end(&json);
    mote_json_out_begin(&json, out);
    mote_json_out_end(&json);
    fclose(out);
    assert_string_equal(text,
                        "{\"text\":\"a\\\"\\\\\\u000a\\u001b\\u007f\\u009b\xef\xbf\xbd\\u202e\xf0\x9f\x98\x80\","
                        "\"texts\":[\"ROLE_USER\",\"ROLE_ADMIN\"],\"none\":[],\"number\":-9223372036854775808,"
                        "\"bool\":true,\"seconds\":\"1970-01-01T00:00:01Z\",\"millis\":\"1970-01-01T00:00:01.001Z\","
                        "\"micros\":\"1970-01-01T00:00:01.000001Z\",\"nanos\":\"1969-12-31T23:59:59.999999999Z\"}\n"
                        "{}\n");
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_members)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
