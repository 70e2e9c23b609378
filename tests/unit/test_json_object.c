/* SPDX-License-Identifier: Apache-2.0 */
/* JSON objects as names and texts: every kind of value, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "security/json_object.h"

struct heard {
    char text[512];
    int answer;
};

static int hear(void *context, const char *name, const char *value)
{
    struct heard *heard = context;
    size_t length = strlen(heard->text);
    snprintf(heard->text + length, sizeof heard->text - length, "%s=%s;", name, value);
    return heard->answer;
}

static void test_objects(void **state)
{
    static const struct {
        const char *json;
        int result;
        const char *heard;
    } rows[] = {
        {"{}", 0, ""},
        {" {\"a\":\"b\"} ", 0, "a=b;"},
        {"{\"b\":\"\",\"a\":\"\\u00e9\\\"\"}", 0, "b=;a=\xc3\xa9\";"},
        {"{\"a\":true,\"b\":false,\"c\":null,\"d\":-12}", 0, "a=true;b=false;d=-12;"},
        {"{\"a\":[],\"b\":[\"x\"],\"c\":[\"x\",1,true]}", 0, "a=;b=x;c=x,1,true;"},
        {"{\"a\":1.5}", MOTE_EDECODE, ""},
        {"{\"a\":{}}", MOTE_EDECODE, ""},
        {"{\"a\":[[]]}", MOTE_EDECODE, ""},
        {"{\"a\":[null]}", MOTE_EDECODE, ""},
        {"{\"a\":1,\"a\":2}", MOTE_EDECODE, ""},
        {"{\"a\":\"b\"} x", MOTE_EDECODE, ""},
        {"{\"a\":\"\\u0000\"}", MOTE_EDECODE, ""},
        {"{\"a\":\"\xff\"}", MOTE_EDECODE, ""},
        {"[\"a\"]", MOTE_EDECODE, ""},
        {"\"a\"", MOTE_EDECODE, ""},
        {"", MOTE_EDECODE, ""},
        {"{", MOTE_EDECODE, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct heard heard = {.answer = 0};
        assert_int_equal(mote_json_object_each(mote_slice_text(rows[i].json), hear, &heard), rows[i].result);
        assert_string_equal(heard.text, rows[i].heard);
    }
}

static void test_the_caller_may_end_it(void **state)
{
    struct heard heard = {.answer = MOTE_EINVAL};
    (void)state;
    assert_int_equal(mote_json_object_each(mote_slice_text("{\"a\":1,\"b\":2}"), hear, &heard), MOTE_EINVAL);
    assert_string_equal(heard.text, "a=1;");
}

/* An array's text is bounded: at the bound it is there, one more is refused. */
static void test_the_bound_of_arrays(void **state)
{
    char json[MOTE_JSON_OBJECT_TEXT_MAX + 16];
    (void)state;
    for (int over = 0; over <= 1; over++) {
        struct heard heard = {.answer = 0};
        snprintf(json, sizeof json, "{\"a\":[\"%0*d\",\"\"]}", (int)MOTE_JSON_OBJECT_TEXT_MAX - 2 + over, 0);
        assert_int_equal(mote_json_object_each(mote_slice_text(json), hear, &heard), over ? MOTE_EDECODE : 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_the_caller_may_end_it),
        cmocka_unit_test(test_the_bound_of_arrays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
