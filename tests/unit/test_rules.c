/* SPDX-License-Identifier: Apache-2.0 */
/* The field rules, each bound at its last good and first bad value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/rules.h"
#include "services/services.h"

struct text_case {
    const char *text;
    bool good;
};

#define TEN "aaaaaaaaaa"

static void usernames(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"abc", true},
        {"ab", false},
        {"", false},
        {"me", false},
        {"ME", false},
        {TEN TEN TEN "aa", true},
        {TEN TEN TEN "aaa", false},
        {"a.b_c-9", true},
        {"Alice", true},
        {"1abc", false},
        {".abc", false},
        {"_abc", false},
        {"-abc", false},
        {"a b", false},
        {"ab ", false},
        {"ab@", false},
        {"ab/", false},
        {"ab:", false},
        {"ab[", false},
        {"ab`", false},
        {"ab{", false},
        {"zaz", true},
        {"ZAZ", true},
        {"a09", true},
        {"ab\xc3\xa4", false},
        {"\xc3\xa4"
         "bc",
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_rules_username(mote_slice_text(cases[i].text)) == NULL, cases[i].good);
    }
    assert_non_null(mote_rules_username(mote_slice("ab\0c", 4)));
}

static void usernames_are_lowered(void **state)
{
    (void)state;
    char out[16];
    memset(out, 'x', sizeof out);
    mote_rules_lower_username(out, "AzZ@[`{9");
    assert_string_equal(out, "azz@[`{9");
    mote_rules_lower_username(out, "");
    assert_string_equal(out, "");
}

static void emails(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"a@b.c", true},
        {"a@b", false},
        {"@b.c", false},
        {"a@", false},
        {"a@.c", false},
        {"a@b.", false},
        {"a@...", false},
        {"ab.c", false},
        {"a@b@c.d", false},
        {"a@@c.d", false},
        {"a b@c.d", false},
        {"a@c .d", false},
        {"a\t@c.d", false},
        {"a\x7f@c.d", false},
        {"a\xc2\xa0@c.d", false},     /* no-break space */
        {"a\xc2\x85@c.d", false},     /* a control above ASCII */
        {"a\xe3\x80\x80@c.d", false}, /* ideographic space */
        {"a\xff@c.d", false},         /* no UTF-8 */
        {"\xc3\xa4@\xc3\xb6.de", true},
        {"Alice+tag@Example.COM", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_rules_email(mote_slice_text(cases[i].text)) == NULL, cases[i].good);
    }
    assert_non_null(mote_rules_email(mote_slice_text("")));
    assert_non_null(mote_rules_email(mote_slice("a\0@b.c", 6)));
}

static void emails_at_their_bounds(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'a', sizeof text);
    text[64] = '@';
    text[66] = '.';
    assert_null(mote_rules_email(mote_slice(text, 254)));
    assert_non_null(mote_rules_email(mote_slice(text, 255)));
    text[64] = 'a';
    text[65] = '@';
    text[67] = '.';
    assert_non_null(mote_rules_email(mote_slice(text, 100)));
}

static void display_names(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"", true}, /* none */
        {"Alice", true},
        {" Alice ", true},
        {" ", false},
        {"   \xc2\xa0\xe2\x80\x83", false},
        {"a\nb", false},
        {"a\x1f", false},
        {"a\x7f", false},
        {"a\xc2\x9f", false},
        {"a\xc2\xa0", true},
        {"a\xe2\x80\xa8", false}, /* line separator */
        {"a\xff", false},
        {TEN TEN TEN TEN TEN TEN "aaaa", true},
        {TEN TEN TEN TEN TEN TEN "aaaaa", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_rules_display_name(mote_slice_text(cases[i].text)) == NULL, cases[i].good);
    }
    char wide[65 * 4];
    for (size_t i = 0; i < 65; i++) {
        memcpy(wide + 4 * i, "\xf0\x9f\x90\x9f", 4);
    }
    assert_null(mote_rules_display_name(mote_slice(wide, 64 * 4)));
    assert_non_null(mote_rules_display_name(mote_slice(wide, 65 * 4)));
}

static void passwords(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"seven77", false},
        {"eight888", true},
        {"", false},
        {"password", false},
        {"PassWord", false},
        {"passwordx", true},
        {"qwertyuiop", false},
        {"alice.smith", false}, /* the username */
        {"ALICE.smith", false},
        {"alice@example.com", false}, /* the email */
        {"alice@example.con", true},
        {"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", true},
        {"\xc3\xa4\xc3\xa4\xc3\xa4\xc3", false},
        {"\xff\xff\xff\xff\xff\xff\xff\xff", false},
    };
    struct mote_slice username = mote_slice_text("alice.smith");
    struct mote_slice email = mote_slice_text("Alice@example.com");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(mote_rules_password(mote_slice_text(cases[i].text), username, email) == NULL, cases[i].good);
    }
    char text[129];
    memset(text, 'p', sizeof text);
    assert_null(mote_rules_password(mote_slice(text, 128), username, email));
    assert_non_null(mote_rules_password(mote_slice(text, 129), username, email));
    assert_non_null(mote_rules_password(mote_slice("eight\0 888", 10), username, email));
    /* No username or email to be equal to. */
    assert_null(mote_rules_password(mote_slice_text("alice.smith"), mote_slice_text(""), mote_slice_text("")));
}

/* What stands for a password at an import: a hash of ours, a hash that is refused, or a password. */
static void passwords_or_hashes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_hash, good;
    } cases[] = {
        {"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", true, true},
        {"$pbkdf2-sha256$i=1000$c29tZXNhbHRzb21lc2FsdA$s5LQUeAEZUMuFVrnmF3OMNPXs3QWnF8SO/5BXmCj6QQ", true, true},
        {"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65", true, false},
        {"$pbkdf2-sha256$i=1$c29tZXNhbHRzb21lc2FsdA$s5LQUeAEZUMuFVrnmF3OMNPXs3QWnF8SO/5BXmCj6QQ", true, false},
        {"pbkdf2-sha256$600000$c29tZXNhbHRzb21lc2FsdA$s5LQUeAEZUMuFVrnmF3OMNPXs3QWnF8SO/5BXmCj6QQ", true, false},
        {"$2b$12$EixZaYVK1fsbw1ZfbX3OXePaWxn96p36WQoeG6Lruj3vjPGga31lW", true, false},
        {"$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", true, false},
        {"$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3u", true, false},
        {"$money$ for nothing$", false, true},
        {"a password of $100, or of $200 or of $300", false, true},
        {"$short", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is_hash = false;
        const char *refused = mote_rules_password_or_hash(&is_hash, mote_slice_text(cases[i].text),
                                                          mote_slice_text("alice"), (struct mote_slice){0});
        if (is_hash != cases[i].is_hash || (refused == NULL) != cases[i].good) {
            fail_msg("%s: %d, %s", cases[i].text, is_hash, refused != NULL ? refused : "taken");
        }
    }
}

static void roles(void **state)
{
    (void)state;
    uint32_t bits = 0;
    assert_null(mote_rules_roles(&bits, NULL, 0));
    assert_int_equal(bits, MOTE_ROLE_BIT_USER);
    const user_v1_Role all[] = {3, 1, 2};
    assert_null(mote_rules_roles(&bits, all, 3));
    assert_int_equal(bits, MOTE_ROLE_BIT_USER | MOTE_ROLE_BIT_SERVICE | MOTE_ROLE_BIT_ADMIN);
    assert_null(mote_rules_roles(&bits, all, 1));
    assert_int_equal(bits, MOTE_ROLE_BIT_ADMIN);
    const user_v1_Role twice[] = {1, 2, 1};
    assert_non_null(mote_rules_roles(&bits, twice, 3));
    static const user_v1_Role bad[] = {0, 4, (user_v1_Role)UINT32_MAX, (user_v1_Role)INT32_MAX};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_non_null(mote_rules_roles(&bits, &bad[i], 1));
    }
    const user_v1_Role five[] = {1, 2, 3, 1, 2};
    assert_non_null(mote_rules_roles(&bits, five, 5));
}

static void page_sizes(void **state)
{
    (void)state;
    static const struct {
        int32_t page_size;
        uint32_t limit; /* 0: refused */
    } cases[] = {{INT32_MIN, 0}, {-1, 0}, {0, 50}, {1, 1}, {199, 199}, {200, 200}, {201, 200}, {INT32_MAX, 200}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t limit = 0;
        assert_int_equal(mote_rules_page_size(&limit, cases[i].page_size) != NULL, cases[i].limit == 0);
        if (cases[i].limit != 0) {
            assert_int_equal(limit, cases[i].limit);
        }
    }
}

static void violations_are_collected_up_to_the_bound(void **state)
{
    (void)state;
    struct mote_rules rules = {0};
    mote_rules_note(&rules, "good", NULL);
    assert_int_equal(rules.count, 0);
    mote_rules_note(&rules, "filter", "is odd");
    assert_int_equal(rules.count, 1);
    assert_string_equal(rules.violations[0].field, "filter");
    assert_string_equal(rules.violations[0].text, "is odd");
    for (size_t i = 0; i < 2 * MOTE_RULES_VIOLATIONS_MAX; i++) {
        mote_rules_note(&rules, "field", "is bad");
    }
    assert_int_equal(rules.count, MOTE_RULES_VIOLATIONS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usernames),
        cmocka_unit_test(usernames_are_lowered),
        cmocka_unit_test(emails),
        cmocka_unit_test(emails_at_their_bounds),
        cmocka_unit_test(display_names),
        cmocka_unit_test(passwords),
        cmocka_unit_test(passwords_or_hashes),
        cmocka_unit_test(roles),
        cmocka_unit_test(page_sizes),
        cmocka_unit_test(violations_are_collected_up_to_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
