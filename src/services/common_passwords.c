/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small list on purpose: what it stops is the guess that comes first, not a dictionary attack (those meet the
 * throttle and the price of a hash). Lower case, at least as long as the shortest password allowed, and sorted by
 * strcmp: a test checks it.
 */
#include "services/common_passwords.h"

#include <stddef.h>
#include <string.h>

static const char *const passwords[] = {
    "00000000",    "0123456789",   "11111111",    "11223344",    "1122334455",  "123123123",  "123321123",
    "12341234",    "12345678",     "123456789",   "1234567890",  "123456abc",   "12345qwert", "1234qwer",
    "123abc456",   "123qweasd",    "12qwaszx",    "147258369",   "159357456",   "1q2w3e4r",   "1q2w3e4r5t",
    "1qaz2wsx",    "1qaz2wsx3edc", "1qazxsw2",    "66666666",    "87654321",    "88888888",   "987654321",
    "9876543210",  "99999999",     "a1b2c3d4",    "aa123456",    "aaaaaaaa",    "abc12345",   "abcd1234",
    "abcdefg1",    "abcdefgh",     "access14",    "admin123",    "admin1234",   "adminadmin", "administrator",
    "asdasdasd",   "asdf1234",     "asdfghjk",    "asdfghjkl",   "autumn2025",  "baseball",   "baseball1",
    "basketball",  "batman123",    "blink182",    "bluebird",    "butterfly",   "changeme",   "changeme1",
    "changeme123", "charlie1",     "chelsea1",    "chocolate",   "cocacola",    "computer",   "corvette",
    "default1",    "dragon12",     "dragon123",   "elephant",    "football",    "football1",  "football12",
    "freedom1",    "fuckyou1",     "guest123",    "guestguest",  "hello123",    "hellohello", "iloveyou",
    "iloveyou1",   "iloveyou2",    "internet",    "jennifer",    "jessica1",    "killer123",  "letmein1",
    "letmein123",  "letmeinnow",   "liverpool",   "liverpool1",  "loveyou1",    "master123",  "maverick",
    "mercedes",    "michael1",     "michelle",    "michigan",    "midnight",    "monkey12",   "monkey123",
    "mustang1",    "ncc1701d",     "p@ssw0rd",    "p@ssword",    "pa55word",    "pass1234",   "passpass",
    "passport1",   "passw0rd",     "password",    "password!",   "password1",   "password1!", "password12",
    "password123", "password1234", "pokemon1",    "princess",    "princess1",   "q1w2e3r4",   "q1w2e3r4t5",
    "qazwsxedc",   "qweasdzxc",    "qweqweqwe",   "qwer1234",    "qwert123",    "qwert12345", "qwerty12",
    "qwerty123",   "qwerty1234",   "qwerty12345", "qwertyui",    "qwertyuiop",  "root1234",   "rootroot",
    "samsung1",    "secret123",    "shadow12",    "shadow123",   "spiderman",   "spring2025", "starwars",
    "starwars1",   "summer2024",   "summer2025",  "sunshine",    "sunshine1",   "superman",   "superman1",
    "temp1234",    "test1234",     "testtest",    "testtest1",   "trustno1",    "user1234",   "userpassword",
    "welcome1",    "welcome12",    "welcome123",  "welcome2024", "welcome2025", "whatever",   "winter2024",
    "winter2025",  "zaq12wsx",     "zaq1zaq1",    "zxcvbnm1",    "zxczxczxc",
};

#define LONGEST 16u

bool mote_common_passwords_contain(struct mote_slice password)
{
    if (password.length > LONGEST) {
        return false;
    }
    char lower[LONGEST + 1] = {0};
    for (size_t i = 0; i < password.length; i++) {
        char c = (char)password.data[i];
        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    size_t low = 0;
    size_t high = sizeof passwords / sizeof passwords[0];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(lower, passwords[middle]);
        if (order == 0) {
            return strlen(lower) == password.length;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return false;
}
