/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PHC strings `$argon2id$v=19$m=…,t=…,p=…$salt$hash` and `$pbkdf2-sha256$i=…$salt$hash`, read here and not by
 * libargon2, so that the bounds of m, t and i are checked before any work. The memory of a hash is mapped and unmapped:
 * malloc would keep 19 MiB after the second one, because glibc raises its threshold for mapping when a mapped block is
 * freed.
 */
#include "security/password.h"

#include <argon2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/text.h"
#include "security/hmac.h"
#include "security/secret.h"

#define SALT_LENGTH     16u
#define DIGEST_LENGTH   32u
#define SALT_MIN        8u /* of a stored hash; ours have SALT_LENGTH and DIGEST_LENGTH */
#define SALT_MAX        48u
#define DIGEST_MIN      16u
#define DIGEST_MAX      64u
#define BLOCKS_PER_LANE 8u /* RFC 9106 §3.1: m is at least 8 × p */
#define ARGON2_PREFIX   "$argon2id$v=19$"
#define PBKDF2_PREFIX   "$pbkdf2-sha256$"
#define HEAD_LENGTH     (sizeof ARGON2_PREFIX - 1)
#define SALT_OF_ZEROS   "AAAAAAAAAAAAAAAAAAAAAA"
#define DIGEST_OF_ZEROS "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

_Static_assert(sizeof ARGON2_PREFIX == sizeof PBKDF2_PREFIX,
               "settings begin at the same place; the store counts on it");

/* A PHC string taken apart. */
struct phc {
    struct mote_password_settings settings;
    size_t salt_length;
    size_t digest_length;
    uint8_t salt[SALT_MAX + 1];
    uint8_t digest[DIGEST_MAX + 1];
};

/* The rest of `text` behind the first `end`, the part before it in *part; absent if there is none. */
static struct mote_slice cut(struct mote_slice *part, struct mote_slice text, char end)
{
    const uint8_t *found = text.length == 0 ? NULL : memchr(text.data, end, text.length);
    if (found == NULL) {
        return mote_slice(NULL, 0);
    }
    *part = mote_slice(text.data, (size_t)(found - text.data));
    return mote_slice(found + 1, text.length - part->length - 1);
}

/* "m=19456", with this letter. */
static bool read_number(uint32_t *out, struct mote_slice text, char letter, uint32_t maximum)
{
    uint64_t value;
    if (text.length < 3 || text.data[0] != (uint8_t)letter || text.data[1] != '=' ||
        mote_decimal_parse(&value, mote_slice(text.data + 2, text.length - 2), maximum) != 0) {
        return false;
    }
    *out = (uint32_t)value;
    return true;
}

/* "i=600000"; NULL or what is wrong. */
static const char *read_pbkdf2(struct mote_password_settings *out, struct mote_slice text)
{
    *out = (struct mote_password_settings){.memory_kib = 0};
    return read_number(&out->iterations, text, 'i', MOTE_PASSWORD_PBKDF2_MAX) &&
                   out->iterations >= MOTE_PASSWORD_PBKDF2_MIN
               ? NULL
               : "i must be 1000 to 10000000";
}

/* "m=19456,t=2,p=1"; NULL or what is wrong. */
static const char *read_argon2(struct mote_password_settings *out, struct mote_slice text)
{
    struct mote_slice memory;
    struct mote_slice iterations;
    const struct mote_slice after_memory = cut(&memory, text, ',');
    const struct mote_slice after_iterations = cut(&iterations, after_memory, ',');
    if (!mote_slice_is_present(after_iterations)) {
        return "must be like argon2id:m=19456,t=2,p=1";
    }
    if (!read_number(&out->memory_kib, memory, 'm', MOTE_PASSWORD_MEMORY_MAX)) {
        return "m must be a number of KiB up to 1048576";
    }
    if (!read_number(&out->iterations, iterations, 't', MOTE_PASSWORD_ITERATIONS_MAX) || out->iterations == 0) {
        return "t must be 1 to 64";
    }
    if (!read_number(&out->parallelism, after_iterations, 'p', MOTE_PASSWORD_PARALLELISM_MAX) ||
        out->parallelism == 0) {
        return "p must be 1 to 16";
    }
    if ((uint64_t)out->memory_kib * out->iterations > MOTE_PASSWORD_WORK_MAX) {
        return "m times t must be at most 4194304";
    }
    return out->memory_kib >= BLOCKS_PER_LANE * out->parallelism ? NULL : "m must be at least 8 times p";
}

/* Unpadded base64 of `minimum` to `maximum` bytes; `out` has room for one more. */
static bool read_bytes(uint8_t *out, size_t *length, struct mote_slice text, size_t minimum, size_t maximum)
{
    if (mote_base64_decoded_max(text.length) > maximum || (text.length != 0 && text.data[text.length - 1] == '=')) {
        return false;
    }
    return mote_base64_decode(out, length, text, MOTE_BASE64_UNPADDED) == 0 && *length >= minimum;
}

/* Takes `prefix` from the beginning of `text`. */
static bool take(struct mote_slice *text, const char *prefix)
{
    const struct mote_slice start = mote_slice_text(prefix);
    if (!mote_slice_starts_with(*text, start)) {
        return false;
    }
    *text = mote_slice(text->data + start.length, text->length - start.length);
    return true;
}

static bool read_phc(struct phc *out, struct mote_slice text)
{
    struct mote_slice settings;
    struct mote_slice salt;
    size_t digest_min = DIGEST_MIN;
    size_t digest_max = DIGEST_MAX;
    const char *(*read_settings)(struct mote_password_settings *, struct mote_slice) = read_argon2;
    if (text.length >= MOTE_PASSWORD_HASH_MAX) {
        return false;
    }
    if (take(&text, PBKDF2_PREFIX)) {
        read_settings = read_pbkdf2;
        digest_min = digest_max = DIGEST_LENGTH;
    } else if (!take(&text, ARGON2_PREFIX)) {
        return false;
    }
    const struct mote_slice after_settings = cut(&settings, text, '$');
    const struct mote_slice digest = cut(&salt, after_settings, '$');
    return mote_slice_is_present(digest) && read_settings(&out->settings, settings) == NULL &&
           read_bytes(out->salt, &out->salt_length, salt, SALT_MIN, SALT_MAX) &&
           read_bytes(out->digest, &out->digest_length, digest, digest_min, digest_max);
}

static int map_memory(uint8_t **memory, size_t size)
{
    void *mapped = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) {
        *memory = NULL;
        return ARGON2_MEMORY_ALLOCATION_ERROR;
    }
    /* Nearly 5,000 page faults fewer, and fewer misses of the TLB: a quarter of the time. Where it is refused it works.
     */
    (void)madvise(mapped, size, MADV_HUGEPAGE);
    *memory = mapped;
    return ARGON2_OK;
}

static void unmap_memory(uint8_t *memory, size_t size)
{
    (void)munmap(memory, size);
}

/* Computes a digest of phc->digest_length bytes. `password` is at most MOTE_PASSWORD_MAX bytes. */
static int compute(uint8_t *digest, const struct phc *phc, struct mote_slice password)
{
    if (phc->settings.memory_kib == 0) {
        mote_hmac_stretch(digest, password, mote_slice(phc->salt, phc->salt_length), phc->settings.iterations);
        return 0;
    }
    uint8_t copy[MOTE_PASSWORD_MAX];
    uint8_t salt[SALT_MAX];
    if (password.length != 0) {
        memcpy(copy, password.data, password.length);
    }
    memcpy(salt, phc->salt, phc->salt_length);
    argon2_context context = {
        .out = digest,
        .outlen = (uint32_t)phc->digest_length,
        .pwd = copy,
        .pwdlen = (uint32_t)password.length,
        .salt = salt,
        .saltlen = (uint32_t)phc->salt_length,
        .t_cost = phc->settings.iterations,
        .m_cost = phc->settings.memory_kib,
        .lanes = phc->settings.parallelism,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = map_memory,
        .free_cbk = unmap_memory,
        .flags = ARGON2_DEFAULT_FLAGS,
    };
    const int result = argon2_ctx(&context, Argon2_id);
    mote_secret_wipe(copy, sizeof copy);
    if (result == ARGON2_OK) {
        return 0;
    }
    return result == ARGON2_MEMORY_ALLOCATION_ERROR ? MOTE_ENOMEM : MOTE_EINVAL;
}

int mote_password_settings_parse(struct mote_password_settings *out, struct mote_slice text, const char **problem)
{
    struct mote_password_settings settings = {0};
    if (take(&text, "argon2id:")) {
        *problem = read_argon2(&settings, text);
    } else if (take(&text, "pbkdf2-sha256:")) {
        *problem = read_pbkdf2(&settings, text);
    } else {
        *problem = "must be like argon2id:m=19456,t=2,p=1 or pbkdf2-sha256:i=600000";
    }
    if (*problem != NULL) {
        return MOTE_EINVAL;
    }
    *out = settings;
    return 0;
}

/* `out` holds the longest: the numbers are bounded, salt and digest have our lengths. */
static void write_phc(char out[MOTE_PASSWORD_HASH_MAX], const struct phc *phc)
{
    const struct mote_password_settings *settings = &phc->settings;
    const int written = settings->memory_kib == 0
                            ? snprintf(out, MOTE_PASSWORD_HASH_MAX, PBKDF2_PREFIX "i=%u$", settings->iterations)
                            : snprintf(out, MOTE_PASSWORD_HASH_MAX, ARGON2_PREFIX "m=%u,t=%u,p=%u$",
                                       settings->memory_kib, settings->iterations, settings->parallelism);
    char *end = out + written;
    mote_base64_encode(end, mote_slice(phc->salt, phc->salt_length), MOTE_BASE64_UNPADDED);
    end += mote_base64_encoded_length(phc->salt_length, MOTE_BASE64_UNPADDED);
    *end++ = '$';
    mote_base64_encode(end, mote_slice(phc->digest, phc->digest_length), MOTE_BASE64_UNPADDED);
    end += mote_base64_encoded_length(phc->digest_length, MOTE_BASE64_UNPADDED);
    *end = '\0';
}

int mote_password_hash(char out[MOTE_PASSWORD_HASH_MAX], const struct mote_password_settings *settings,
                       struct mote_slice password, const struct mote_random *random)
{
    struct phc phc = {.settings = *settings, .salt_length = SALT_LENGTH, .digest_length = DIGEST_LENGTH};
    if (password.length > MOTE_PASSWORD_MAX) {
        return MOTE_EINVAL;
    }
    int result = random->fill(random->context, phc.salt, SALT_LENGTH);
    if (result == 0) {
        result = compute(phc.digest, &phc, password);
    }
    if (result == 0) {
        write_phc(out, &phc);
    }
    mote_secret_wipe(&phc, sizeof phc);
    return result;
}

int mote_password_verify(const char *hash, const struct mote_password_settings *settings, struct mote_slice password)
{
    const bool dummy = hash[0] == '\0';
    struct phc phc = {.settings = *settings, .salt_length = SALT_LENGTH, .digest_length = DIGEST_LENGTH};
    if (password.length > MOTE_PASSWORD_MAX) {
        return MOTE_EINVAL;
    }
    if (!dummy && !read_phc(&phc, mote_slice_text(hash))) {
        return MOTE_ECORRUPT;
    }
    uint8_t digest[DIGEST_MAX] = {0};
    const int result = compute(digest, &phc, password);
    const bool equal = mote_secret_equals(digest, phc.digest, phc.digest_length);
    mote_secret_wipe(digest, sizeof digest);
    mote_secret_wipe(&phc, sizeof phc);
    if (result != 0) {
        return result;
    }
    return equal && !dummy ? 0 : MOTE_EAUTH;
}

void mote_password_stand_in(char out[MOTE_PASSWORD_HASH_MAX], const char *hash)
{
    const size_t length = strlen(hash);
    const char *end = length > HEAD_LENGTH ? strchr(hash + HEAD_LENGTH, '$') : NULL;
    (void)snprintf(out, MOTE_PASSWORD_HASH_MAX, "%.*s$" SALT_OF_ZEROS "$" DIGEST_OF_ZEROS,
                   (int)(end != NULL ? (size_t)(end - hash) : length), hash);
    if (!mote_password_is_hash(mote_slice_text(out))) {
        out[0] = '\0';
    }
}

bool mote_password_is_hash(struct mote_slice text)
{
    struct phc phc;
    const bool is_hash = read_phc(&phc, text);
    mote_secret_wipe(&phc, sizeof phc);
    return is_hash;
}

bool mote_password_needs_rehash(const char *hash, const struct mote_password_settings *settings)
{
    struct phc phc;
    if (!read_phc(&phc, mote_slice_text(hash))) {
        return true;
    }
    const bool other = phc.settings.memory_kib != settings->memory_kib ||
                       phc.settings.iterations != settings->iterations ||
                       phc.settings.parallelism != settings->parallelism || phc.salt_length < SALT_LENGTH ||
                       phc.digest_length < DIGEST_LENGTH;
    mote_secret_wipe(&phc, sizeof phc);
    return other;
}
