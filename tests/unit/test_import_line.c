/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of an import: each field in both forms, both spellings of names, quotes of CSV, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "app/import_line.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define HASH         "$argon2id$v=19$m=1024,t=1,p=1$8bOHM7G9Ls+Md2mm8Hnk6g$PEfiWRhAFfZvfEV4ji4G8AMSH+X2hWyh6LdkUSuOF9s"

static struct mote_import_line read_json(const char *text)
{
    struct mote_import_line line;
    char copy[2048];
    snprintf(copy, sizeof copy, "%s", text);
    assert_int_equal(mote_import_line_read(&line, NULL, copy), 0);
    return line;
}

static void test_every_field(void **state)
{
    static const uint8_t id[16] = {1,    0xa1, 0xfe, 0x0e, 0xcc, 0x62, 0x77, 0x56,
                                   0xa8, 0xa0, 0xa0, 0x3f, 0xcb, 0xe9, 0x12, 0xf4};
    static const char *const texts[] = {
        "{\"id\":\"01a1fe0e-cc62-7756-a8a0-a03fcbe912f4\",\"username\":\"Ada\",\"email\":\"a@b.cd\",\"displayName\":"
        "\"A L\","
        "\"roles\":[\"ROLE_ADMIN\",\"user\"],\"state\":\"USER_STATE_DISABLED\",\"createTime\":\"1970-01-01T00:00:01Z\","
        "\"updateTime\":\"1970-01-01T00:00:01.5Z\",\"emailVerified\":true,\"etag\":\"x\","
        "\"lastLoginTime\":\"1970-01-01T00:00:00.000000001Z\",\"passwordHash\":\"" HASH
        "\",\"passwordChangeRequired\":true}",
        "{\"id\":\"01A1FE0E-CC62-7756-A8A0-A03FCBE912F4\",\"username\":\"Ada\",\"email\":\"a@b.cd\",\"display_name\":"
        "\"A L\","
        "\"roles\":\"ADMIN,USER\",\"state\":\"DISABLED\",\"create_time\":\"1970-01-01T00:00:01Z\","
        "\"update_time\":\"1970-01-01T00:00:01.5Z\",\"email_verified\":true,\"last_login_time\":"
        "\"1970-01-01T00:00:00.000000001Z\",\"initial_password\":\"" HASH "\",\"password_change_required\":true}"};
    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct mote_import_line line = read_json(texts[i]);
        assert_null(line.refused);
        assert_true(line.has_id);
        assert_memory_equal(line.id, id, sizeof id);
        assert_string_equal(line.user.username, "Ada");
        assert_string_equal(line.user.email, "a@b.cd");
        assert_string_equal(line.user.display_name, "A L");
        assert_int_equal(line.user.roles_count, 2);
        assert_int_equal(line.user.roles[0], user_v1_Role_ROLE_ADMIN);
        assert_int_equal(line.user.roles[1], user_v1_Role_ROLE_USER);
        assert_int_equal(line.state, MOTE_USER_DISABLED);
        assert_int_equal(line.create_time, 1000000000);
        assert_int_equal(line.update_time, 1500000000);
        assert_int_equal(line.last_login_time, 1);
        assert_true(line.user.email_verified && line.password_change_required);
        assert_string_equal(line.password, HASH);
    }
    struct mote_import_line empty = read_json("{\"username\":\"\",\"id\":\"\",\"state\":\"\",\"roles\":[]}");
    assert_null(empty.refused);
    assert_int_equal(empty.state, MOTE_USER_ACTIVE);
    assert_false(empty.has_id);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        const char *json, *field;
    } rows[] = {
        {"", ""},
        {"[]", ""},
        {"{\"username\":{}}", ""},
        {"{\"nothing\":\"\"}", "nothing"},
        {"{\"a name that is far longer than every field's\":1}", "a name that is far longer than "},
        {"{\"username\":\"123456789012345678901234567890123\"}", "username"},
        {"{\"id\":\"1\"}", "id"},
        {"{\"roles\":\"A,B,C,D,E\"}", "roles"},
        {"{\"state\":\"LOCKED\"}", "state"},
        {"{\"emailVerified\":1}", "emailVerified"},
        {"{\"password_hash\":\"plain\"}", "passwordHash"},
        {"{\"createTime\":\"yesterday\"}", "createTime"},
        {"{\"createTime\":\"2026-01-31T00:00:00\"}", "createTime"},
        {"{\"createTime\":\"2026-01-31T00:00:00Zx\"}", "createTime"},
        {"{\"createTime\":\"2026-13-31T00:00:00Z\"}", "createTime"},
        {"{\"createTime\":\"9999-12-31T00:00:00Z\"}", "createTime"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_import_line line = read_json(rows[i].json);
        assert_non_null(line.refused);
        assert_string_equal(line.field, rows[i].field);
    }
}

static void test_csv(void **state)
{
    static const struct {
        const char *line;
        const char *username, *display_name, *password; /* NULL username: refused */
    } rows[] = {
        {"ada,,", "ada", "", ""},
        {"ada,A L,p", "ada", "A L", "p"},
        {"ada,\"A, L\",\"\"\"p\"\"\"", "ada", "A, L", "\"p\""},
        {"\"ada\",\"\",\"\"", "ada", "", ""},
        {"ada,A \"L\",p\"", "ada", "A \"L\"", "p\""}, /* quotes inside a plain cell are characters */
        {"", NULL, NULL, NULL},
        {"ada", NULL, NULL, NULL},
        {"ada,b", NULL, NULL, NULL},
        {"ada,b,c,", NULL, NULL, NULL},
        {"ada,\"b,c", NULL, NULL, NULL},
        {"ada,\"b\"x,c", NULL, NULL, NULL},
        {"ada,\"b\"\",c", NULL, NULL, NULL},
    };
    char header_text[] = "username,\"display_name\",initialPassword";
    char field[32];
    struct mote_import_header header;
    (void)state;
    assert_null(mote_import_line_header(&header, header_text, field));
    assert_int_equal(header.count, 3);
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_import_line line;
        char copy[64];
        snprintf(copy, sizeof copy, "%s", rows[i].line);
        assert_int_equal(mote_import_line_read(&line, &header, copy), 0);
        if (rows[i].username == NULL) {
            assert_non_null(line.refused);
            continue;
        }
        assert_null(line.refused);
        assert_string_equal(line.user.username, rows[i].username);
        assert_string_equal(line.user.display_name, rows[i].display_name);
        assert_string_equal(line.password, rows[i].password);
    }
}

static void test_headers(void **state)
{
    static const struct {
        const char *text;
        bool refused;
        const char *field;
    } rows[] = {
        {"username", false, NULL},
        {"etag,id,username", false, NULL},
        {"", true, ""},
        {"username,", true, ""},
        {"Username", true, "Username"},
        {"username,username", true, "username"},
        {"display_name,displayName", true, "displayName"},
        {"\"username", true, ""},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct mote_import_header header;
        char field[32];
        char copy[64];
        snprintf(copy, sizeof copy, "%s", rows[i].text);
        assert_int_equal(mote_import_line_header(&header, copy, field) != NULL, rows[i].refused);
        if (rows[i].refused) {
            assert_string_equal(field, rows[i].field);
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
