/* SPDX-License-Identifier: Apache-2.0 */
#include "app/keys.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "security/secret.h"

#define KIDS_MAX ((MOTE_KEYRING_KEYS_MAX + MOTE_KEYRING_RETIRING_MAX) * (MOTE_JWT_KID_MAX + 1u))

struct told {
    struct mote_option_report report;
    struct mote_log *log;
};

static void tell(struct mote_option_report *report, enum mote_option_severity severity, const char *name,
                 const char *text)
{
    const struct told *told = (const struct told *)(const void *)report; /* its first member */
    (void)severity;
    mote_log(told->log, MOTE_LOG_ERROR, "app", "keys.not_loaded", "keys could not be loaded: those in force stay",
             mote_log_text("setting", name), mote_log_text("err", text));
}

int mote_keys_open(struct mote_keys *keys)
{
    struct mote_options *options = keys->options;
    struct told told = {.report.tell = tell, .log = keys->log};
    struct mote_keyring *keyring;
    int error = mote_options_keyring(&keyring, options->jwt_secret, options->origins[MOTE_OPTION_INDEX_JWT_SECRET].text,
                                     &told.report);
    mote_secret_wipe(options->jwt_secret, strlen(options->jwt_secret)); /* the keyring has it now */
    if (error == 0) {
        mote_keyring_slot_init(&keys->slot, keyring);
        keys->next_end_ns = MOTE_KEYRING_NEVER;
    }
    return error;
}

void mote_keys_close(struct mote_keys *keys)
{
    mote_keyring_slot_dispose(&keys->slot);
}

static struct mote_keyring *current(struct mote_keys *keys)
{
    return atomic_load(&keys->slot.current); /* nobody else publishes */
}

/* Every change of keys comes through here. */
static void publish(struct mote_keys *keys, struct mote_keyring *keyring, const char *event, const char *message)
{
    char kids[KIDS_MAX] = "";
    char detail[KIDS_MAX + 64];
    const char *signing = mote_keyring_signing_kid(keyring);
    const char *kid;
    for (size_t i = 1; (kid = mote_keyring_kid(keyring, i)) != NULL; i++) {
        size_t length = strlen(kids);
        snprintf(kids + length, sizeof kids - length, "%s%s", length > 0 ? "," : "", kid);
    }
    snprintf(detail, sizeof detail, "signing=%s verifying=%s", signing, kids);
    mote_log(keys->log, MOTE_LOG_INFO, "app", event, message, mote_log_text("signing", signing),
             mote_log_text("verifying", kids));
    if (keys->store != NULL) {
        const struct mote_store_audit entry = {.action = MOTE_STORE_AUDIT_CHANGE_KEYS,
                                               .actor = MOTE_STORE_ACTOR_SYSTEM,
                                               .detail = mote_slice_text(detail)};
        mote_store_append_audit(keys->store, &entry);
    }
    keys->next_end_ns = mote_keyring_next_end(keyring);
    mote_keyring_slot_publish(&keys->slot, keyring);
}

bool mote_keys_reload(struct mote_keys *keys, uint64_t now_ns)
{
    const struct mote_options *options = keys->options;
    const char *file = options->origins[MOTE_OPTION_INDEX_JWT_SECRET].text;
    struct told told = {.report.tell = tell, .log = keys->log};
    struct mote_keyring *keyring = NULL;
    if (file == NULL) {
        mote_log(keys->log, MOTE_LOG_WARN, "app", "keys.not_loaded",
                 "JWT_SECRET came from the environment, and cannot be read again as JWT_SECRET_FILE can",
                 mote_log_text("setting", "JWT_SECRET"));
        return false;
    }
    char *text = mote_options_read_secret("JWT_SECRET", file, environ, &told.report);
    if (text == NULL) {
        return false;
    }
    int error = mote_options_keyring(&keyring, text, file, &told.report);
    mote_secret_wipe(text, strlen(text));
    mote_mem_release(mote_mem_system(), text);
    if (error != 0) {
        return false;
    }
    mote_keyring_take_over(keyring, current(keys), now_ns + options->jwt_access_expiry + options->jwt_leeway);
    publish(keys, keyring, "keys.loaded", "keys loaded anew");
    return true;
}

bool mote_keys_retire(struct mote_keys *keys, uint64_t now_ns)
{
    struct mote_keyring *rest;
    if (now_ns < keys->next_end_ns || mote_keyring_without_retired(&rest, current(keys), now_ns) != 0) {
        return false; /* without memory: the next time */
    }
    publish(keys, rest, "keys.retired", "a key that was rotated out does not verify any more");
    return true;
}
