/* SPDX-License-Identifier: Apache-2.0 */
/* SipHash-2-4 under the key 00…0f over 00, 01, 02 …: the vectors that its authors published. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "security/siphash.h"

static void test_vectors(void **state)
{
    static const struct {
        size_t length;
        uint64_t hash;
    } cases[] = {
        {0, 0x726fdb47dd0e0e31u}, {1, 0x74f839c593dc67fdu}, {2, 0x0d6c8009d9a94f5au},  {3, 0x85676696d7fb7e2du},
        {4, 0xcf2794e0277187b7u}, {5, 0x18765564cd99a68du}, {6, 0xcbc9466e58fee3ceu},  {7, 0xab0200f58b01d137u},
        {8, 0x93f5f5799a932462u}, {9, 0x9e0082df0ba9e4b0u}, {15, 0xa129ca6149be45e5u}, {63, 0x958a324ceb064572u},
    };
    uint8_t bytes[64];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    const struct mote_siphash_key key = mote_siphash_key_read(bytes);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(mote_siphash(key, mote_slice(bytes, cases[i].length)) == cases[i].hash);
    }
    const struct mote_siphash_key other = mote_siphash_key_read(bytes + 1);
    assert_false(mote_siphash(other, mote_slice(bytes, 15)) == mote_siphash(key, mote_slice(bytes, 15)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
