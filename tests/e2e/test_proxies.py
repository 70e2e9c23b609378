# SPDX-License-Identifier: Apache-2.0
"""TRUSTED_PROXIES: whose word counts for where a caller is."""

import pytest
from conftest import ADMIN_PASSWORD, Clients

from auth.v1 import auth_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}


def address_of_login(program, *values):
    """What ListSessions shows of a session whose login came with these x-forwarded-for fields."""
    client = Clients(program)
    request = auth_pb2.LoginRequest(username="admin", password=ADMIN_PASSWORD)
    answer = client.auth.Login(request, metadata=tuple(("x-forwarded-for", value) for value in values), timeout=20)
    sessions = client.auth.ListSessions(auth_pb2.ListSessionsRequest(user_id="me"), timeout=5,
                                        metadata=(("authorization", f"Bearer {answer.tokens.access_token}"),)).sessions
    client.channel.close()
    session, = [session for session in sessions if session.current]
    assert session.id == answer.session_id
    assert session.user_agent.startswith("grpc-python/")
    return session.peer_address


@pytest.fixture
def admin(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    return mote


def test_only_a_trusted_peer_is_believed(admin):
    trusting = admin.serve(TRUSTED_PROXIES="127.0.0.0/8, 10.0.0.0/8, 2001:db8:1::/48")
    assert address_of_login(trusting) == "127.0.0.1"
    assert address_of_login(trusting, "203.0.113.9") == "203.0.113.9"
    assert address_of_login(trusting, "198.51.100.7, 203.0.113.9, 10.1.1.1") == "203.0.113.9"
    assert address_of_login(trusting, "198.51.100.7", "203.0.113.9", "10.1.1.1") == "203.0.113.9"
    assert address_of_login(trusting, "[2001:DB8:2::1]:4711, 2001:db8:1::9") == "2001:db8:2::1"
    assert address_of_login(trusting, "203.0.113.9, unknown, 10.1.1.1") == "10.1.1.1"
    assert address_of_login(trusting, "not an address") == "127.0.0.1"
    assert address_of_login(trusting, "10.1.1.1") == "10.1.1.1"
    assert trusting.stop() == 0
    for settings in ({}, {"TRUSTED_PROXIES": "10.0.0.0/8,unix:"}):
        program = admin.serve(**settings)
        assert address_of_login(program, "203.0.113.9") == "127.0.0.1"
        assert program.stop() == 0


def test_proxies_on_a_unix_socket(admin):
    listen = f"unix:{admin.folder}/mote.sock"
    for proxies, address in (({"TRUSTED_PROXIES": "unix:"}, "203.0.113.9"), ({}, "unix:")):
        program = admin.serve(LISTEN=listen, **proxies)
        assert address_of_login(program, "203.0.113.9") == address
        assert address_of_login(program) == "unix:"
        assert program.stop() == 0


def test_a_bad_entry_is_named(mote):
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, TRUSTED_PROXIES="10.0.0.0/8,10.0.0.1/8")
    assert result.returncode == 78
    assert "config: TRUSTED_PROXIES: 10.0.0.1/8: " in result.stderr
