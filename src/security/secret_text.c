/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A secret as it is configured, and what is refused as a signing secret although it is long enough. Nothing here can
 * tell a good secret; it finds what people type, paste from a tutorial or leave as it came. No rule refuses random
 * bytes, hexadecimal or base64 of them with a chance that anybody will meet.
 */
#include "security/secret_text.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "security/keyring.h"
#include "security/secret.h"

/* A placeholder is made of these words; that many bytes must be left when they are taken out. */
#define REST_MIN 16u

/* The longest first, because the first that fits is taken. */
static const char *const placeholder_words[] = {
    "authentication",
    "administrator",
    "development",
    "placeholder",
    "characters",
    "production",
    "passphrase",
    "password",
    "changeit",
    "replace",
    "minimum",
    "default",
    "example",
    "private",
    "signing",
    "letmein",
    "welcome",
    "random",
    "secret",
    "secure",
    "server",
    "should",
    "sample",
    "string",
    "access",
    "change",
    "config",
    "enough",
    "insert",
    "longer",
    "please",
    "really",
    "strong",
    "tokens",
    "qwerty",
    "token",
    "admin",
    "bytes",
    "chars",
    "hs256",
    "local",
    "least",
    "super",
    "never",
    "short",
    "store",
    "value",
    "must",
    "your",
    "very",
    "with",
    "bits",
    "byte",
    "demo",
    "fill",
    "grpc",
    "here",
    "user",
    "keys",
    "long",
    "mote",
    "more",
    "only",
    "safe",
    "some",
    "test",
    "than",
    "that",
    "this",
    "auth",
    "was",
    "256",
    "512",
    "123",
    "and",
    "bit",
    "dev",
    "for",
    "jwt",
    "key",
    "not",
    "own",
    "set",
    "the",
    "too",
    "use",
    "you",
    "abc",
    "put",
    "32",
    "64",
};

#define PLACEHOLDER_WORD_COUNT (sizeof placeholder_words / sizeof placeholder_words[0])

static uint8_t lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte - 'A' + 'a') : byte;
}

/* Length of the placeholder word that `text` begins with, 0 if none. */
static size_t word_length(struct mote_slice text)
{
    for (size_t i = 0; i < PLACEHOLDER_WORD_COUNT; i++) {
        const struct mote_slice word = mote_slice_text(placeholder_words[i]);
        if (text.length >= word.length &&
            mote_slice_equals_ignore_case(mote_slice(text.data, word.length), word)) { /* public: at start */
            return word.length;
        }
    }
    return 0;
}

static bool is_separator(uint8_t byte)
{
    return byte <= ' ' || strchr("-_.,:;!?+*/#$%&@=()[]{}<>'\"", byte) != NULL;
}

static bool is_placeholder(struct mote_slice text)
{
    size_t rest = 0;
    size_t words = 0;
    size_t i = 0;
    while (i < text.length) {
        const size_t length = word_length(mote_slice(text.data + i, text.length - i));
        if (length != 0) {
            words++;
            i += length;
        } else {
            rest += is_separator(text.data[i]) ? 0 : 1;
            i++;
        }
    }
    return words != 0 && rest < REST_MIN;
}

/* A run such as "aaaa", "1234" or "dcba" makes up most of it. */
static bool is_sequence(struct mote_slice text)
{
    size_t steps = 0;
    for (size_t i = 1; i < text.length; i++) {
        const int step = (int)text.data[i] - (int)text.data[i - 1];
        steps += step >= -1 && step <= 1 ? 1 : 0;
    }
    return steps > text.length / 2;
}

static bool is_repetition(struct mote_slice text)
{
    for (size_t period = 1; period <= text.length / 2; period++) {
        size_t i = period;
        while (i < text.length && text.data[i] == text.data[i - period]) {
            i++;
        }
        if (i == text.length) {
            return true;
        }
    }
    return false;
}

/* Letters of one case, the first perhaps a capital. */
static bool is_word(struct mote_slice text)
{
    bool lower_case = true;
    bool upper_case = true;
    for (size_t i = 0; i < text.length; i++) {
        const uint8_t byte = text.data[i];
        if (lower(byte) < 'a' || lower(byte) > 'z') {
            return false;
        }
        lower_case = lower_case && (byte >= 'a' || i == 0);
        upper_case = upper_case && byte <= 'Z';
    }
    return lower_case || upper_case;
}

static const char *weakness_of_bytes(struct mote_slice bytes)
{
    if (bytes.length < MOTE_SECRET_MIN) {
        return "too short (need at least 32 bytes)";
    }
    if (is_repetition(bytes)) {
        return "one piece repeated";
    }
    if (is_sequence(bytes)) {
        return "a sequence of characters";
    }
    if (is_word(bytes)) {
        return "one word";
    }
    if (is_placeholder(bytes)) {
        return "a placeholder, not a secret";
    }
    return NULL;
}

int mote_secret_text_decode(uint8_t out[MOTE_SECRET_TEXT_ROOM], size_t *length, struct mote_slice text)
{
    static const struct mote_slice prefix = MOTE_SLICE_LITERAL("base64:");
    if (!mote_slice_starts_with(text, prefix)) {
        if (text.length > MOTE_SECRET_MAX) {
            return MOTE_ELIMIT;
        }
        if (text.length != 0) {
            memcpy(out, text.data, text.length);
        }
        *length = text.length;
        return 0;
    }
    const struct mote_slice encoded = mote_slice(text.data + prefix.length, text.length - prefix.length);
    if (mote_base64_decoded_max(encoded.length) > MOTE_SECRET_TEXT_ROOM) {
        return MOTE_ELIMIT;
    }
    if (mote_base64_decode(out, length, encoded, MOTE_BASE64_PADDED) != 0 &&
        mote_base64_decode(out, length, encoded, MOTE_BASE64_URL_UNPADDED) != 0) {
        return MOTE_EDECODE;
    }
    return *length <= MOTE_SECRET_MAX ? 0 : MOTE_ELIMIT;
}

size_t mote_secret_length(struct mote_slice secret)
{
    uint8_t bytes[MOTE_SECRET_TEXT_ROOM];
    size_t length;
    const int result = mote_secret_text_decode(bytes, &length, secret);
    mote_secret_wipe(bytes, sizeof bytes);
    if (result == MOTE_ELIMIT) {
        return secret.length;
    }
    return result == 0 ? length : 0;
}

const char *mote_secret_weakness(struct mote_slice secret)
{
    uint8_t bytes[MOTE_SECRET_TEXT_ROOM];
    size_t length;
    const int result = mote_secret_text_decode(bytes, &length, secret);
    const char *weakness;
    if (result == 0) {
        weakness = weakness_of_bytes(mote_slice(bytes, length));
    } else if (result == MOTE_ELIMIT) {
        weakness = "too long (at most 1024 bytes)";
    } else {
        weakness = "not valid base64 after \"base64:\"";
    }
    mote_secret_wipe(bytes, sizeof bytes);
    return weakness;
}
