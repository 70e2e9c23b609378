/* SPDX-License-Identifier: Apache-2.0 */
/* The access table against the generated services: every method has exactly one row with every setting, and no row is
 * about nothing. What each row says is checked by calls (tests/pair/test_services_access.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/v1/auth.mote.h"
#include "services/access.h"
#include "user/v1/user.mote.h"

static const struct mote_service *const services[] = {&user_v1_UserService_service, &auth_v1_AuthService_service};

static uint32_t find(const struct mote_access_row *rows, size_t count, const char *path)
{
    uint32_t who = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].path, path) == 0) {
            assert_int_equal(who, 0);
            who = rows[i].who;
        }
    }
    return who;
}

static void every_method_has_one_row(void **state)
{
    (void)state;
    for (unsigned settings = 0; settings < 4; settings++) {
        struct mote_access_row rows[MOTE_SERVICES_ACCESS_MAX];
        size_t count = mote_access_fill(rows, (settings & 1) != 0, (settings & 2) != 0);
        size_t methods = 0;
        for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
            for (size_t j = 0; j < services[i]->method_count; j++) {
                uint32_t who = find(rows, count, services[i]->methods[j].path);
                assert_int_not_equal(who, 0);
                /* Public means everyone: nothing may stand beside it. */
                assert_true((who & MOTE_ACCESS_PUBLIC) == 0 || who == MOTE_ACCESS_PUBLIC);
                methods++;
            }
        }
        assert_int_equal(find(rows, count, "/grpc.health.v1.Health/*"), MOTE_ACCESS_PUBLIC);
        unsigned reflection = (settings & 2) != 0 ? MOTE_ACCESS_PUBLIC : 0;
        assert_int_equal(find(rows, count, "/grpc.reflection.v1.ServerReflection/*"), reflection);
        assert_int_equal(find(rows, count, "/grpc.reflection.v1alpha.ServerReflection/*"), reflection);
        assert_int_equal(count, methods + 1 + (reflection != 0 ? 2 : 0));
        assert_int_equal(find(rows, count, "/user.v1.UserService/CreateUser"),
                         (settings & 1) != 0 ? MOTE_ACCESS_PUBLIC : MOTE_ACCESS_ADMIN);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_method_has_one_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
