# SPDX-License-Identifier: Apache-2.0
"""Tokens that are revoked, and keys that are rotated while the server runs."""

import grpc
import pytest
from conftest import ADMIN_PASSWORD, Clients, reason_of

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}


@pytest.fixture
def admin(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    return mote


def reason_of_get(program, token):
    """What GetUser refuses the token for, on a connection of its own: with several workers, on any of them."""
    client = Clients(program)
    try:
        client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=(("authorization", f"Bearer {token}"),),
                            timeout=10)
        return None
    except grpc.RpcError as error:
        return reason_of(error)[1]
    finally:
        client.channel.close()


def revoke(program, token, hint=auth_pb2.TOKEN_TYPE_HINT_UNSPECIFIED):
    client = Clients(program)
    client.auth.RevokeToken(auth_pb2.RevokeTokenRequest(token=token, token_type_hint=hint), timeout=10)
    client.channel.close()


def test_a_revoked_token_stays_revoked(admin):
    server = admin.serve(WORKERS="2")
    first = Clients(server).login("admin", ADMIN_PASSWORD).tokens
    other = Clients(server).login("admin", ADMIN_PASSWORD).tokens
    assert [reason_of_get(server, first.access_token) for _ in range(8)] == [None] * 8  # verified tokens are cached
    revoke(server, first.access_token)
    revoke(server, "nonsense")
    assert [reason_of_get(server, first.access_token) for _ in range(8)] == ["TOKEN_REVOKED"] * 8
    revoke(server, other.refresh_token, auth_pb2.TOKEN_TYPE_HINT_ACCESS)
    assert server.stop() == 0
    server = admin.serve(WORKERS="2")
    assert reason_of_get(server, first.access_token) == "TOKEN_REVOKED"
    assert reason_of_get(server, other.access_token) == "SESSION_REVOKED"
    client = Clients(server)
    client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=first.refresh_token), timeout=10)
    with pytest.raises(grpc.RpcError) as caught:
        client.auth.RefreshToken(auth_pb2.RefreshTokenRequest(refresh_token=other.refresh_token), timeout=10)
    assert reason_of(caught.value)[1] == "REFRESH_TOKEN_INVALID"
    client.channel.close()
