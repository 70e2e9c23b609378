#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make run`: starts build/release/mote with a state folder of its own (made on first use: a secret, an administrator and
# an SQLite file), shows by real calls that it answers, and prints lines to paste. Ctrl-C stops it.
#   STATE=folder (state)   LISTEN=address (127.0.0.1:50051)
set -eu
cd "$(dirname "$0")/../.."
mote=build/release/mote
state=${STATE:-state}
listen=${LISTEN:-127.0.0.1:50051}
umask 077

# Made beside and moved into place, so that an interrupted first run leaves nothing half done.
if [ ! -d "$state" ]; then
    echo "First run: making $state/ with a random secret, an administrator and an SQLite file"
    new=$state.new
    rm -rf "$new"
    mkdir -p "$new"
    head -c 48 /dev/urandom | base64 -w 0 >"$new/jwt-secret"
    head -c 18 /dev/urandom | base64 -w 0 | tr '+/' '-_' >"$new/admin-password"
    STORE_URL="sqlite:$new/mote.db" "$mote" user create --username admin --role ADMIN --password-stdin \
        <"$new/admin-password"
    mv "$new" "$state"
fi
export JWT_SECRET_FILE="$state/jwt-secret" STORE_URL="sqlite:$state/mote.db"

LISTEN="$listen" REFLECTION=on "$mote" serve &
server=$!
trap ':' INT # the terminal gives Ctrl-C to the server itself; wait for it below
trap 'kill -TERM "$server"' TERM
stop_server() {
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || true
    exit 1
}
tries=0
until "$mote" healthcheck --addr "$listen" --timeout 1s 2>/dev/null; do
    kill -0 "$server" 2>/dev/null || { wait "$server"; exit $?; }
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || { echo "make run: the server does not answer at $listen" >&2; stop_server; }
    sleep 0.1
done
echo
"$mote" probe --addr "$listen" --username admin --password-file "$state/admin-password" || stop_server

grpcurl=grpcurl
if ! command -v grpcurl >/dev/null; then
    grpcurl=build/tools/grpcurl
    [ -x "$grpcurl" ] || get="make grpcurl        # Debian has no package of it; this builds it with Go"
fi
cat <<END

The same from another terminal, in this folder:

${get:+  $get
}  $grpcurl -plaintext $listen list
  TOKEN=\$($grpcurl -plaintext -d "{\"username\":\"admin\",\"password\":\"\$(cat $state/admin-password)\"}" $listen auth.v1.AuthService/Login | sed -n 's/.*"accessToken": "\(.*\)".*/\1/p')
  $grpcurl -plaintext -H "authorization: Bearer \$TOKEN" -d '{"id":"me"}' $listen user.v1.UserService/GetUser

Serving on $listen. Ctrl-C stops it.
END
# A signal ends a wait early; the last one tells how the server ended.
status=0
wait "$server" || status=$?
while kill -0 "$server" 2>/dev/null; do
    status=0
    wait "$server" || status=$?
done
exit "$status"
