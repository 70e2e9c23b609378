# SPDX-License-Identifier: Apache-2.0
"""Rules of the user service on real sockets: imports, filters, etags, retries with a request id."""

import base64
import threading
import time
import uuid

import grpc
import pytest
from conftest import ADMIN_PASSWORD, RELEASE, reason_of

from user.v1 import user_pb2

PASSWORD = "a good long password"
SALT, DIGEST = base64.b64encode(b"s" * 16).decode().rstrip("="), base64.b64encode(b"d" * 32).decode().rstrip("=")
HASH = f"$argon2id$v=19$m=64,t=1,p=1${SALT}${DIGEST}"


@pytest.fixture
def admin(clients):
    return clients("admin", ADMIN_PASSWORD)


def unique(prefix="user"):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def row(username, password=HASH, **fields):
    request = user_pb2.ImportUsersRequest(user=user_pb2.User(username=username, **fields))
    if password is not None:
        request.initial_password = password
    return request


def run_import(admin, rows):
    return admin.user.ImportUsers(iter(rows), metadata=admin.metadata, timeout=120)


# --- ImportUsers -------------------------------------------------------------------------------------------------


def test_import_of_ten_thousand_hashed_users(admin):
    prefix, sent, began = uuid.uuid4().hex[:8], [], time.monotonic()

    def rows():
        for index in range(10000):
            sent.append(index)  # the client's progress: what flow control lets it send
            yield row(f"i{prefix}{index:05}", email=f"{prefix}{index}@example.org")

    answer = run_import(admin, rows())
    assert (answer.created_count, answer.failed_count, len(sent)) == (10000, 0, 10000)
    print(f"10,000 users in {time.monotonic() - began:.2f} s")


def test_import_counts_refusals_and_goes_on(admin, clients):
    name = unique("dup")
    rows = [row(name), row(unique("plain"), PASSWORD), row(name), row("x"), row(unique(), None), row("A" + name, "short"),
            row(unique(), "$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA"), row(unique(), roles=[3, 2])]
    answer = run_import(admin, rows)
    assert (answer.created_count, answer.failed_count) == (4, 4)
    assert [(f.index, f.code, f.reason) for f in answer.failures] == [
        (2, 6, "USERNAME_TAKEN"), (3, 3, "FIELD_INVALID"), (5, 3, "FIELD_INVALID"), (6, 3, "FIELD_INVALID")]
    assert clients(rows[1].user.username, PASSWORD).metadata
    assert run_import(admin, []).created_count == 0


def test_import_goes_on_after_a_field_over_its_bound(admin):
    """What the decoder refuses, before the service sees it, is a row's result as any other; also in the first."""
    kept = [unique(), unique()]
    bad = [row("x" * 33), row(unique(), "p" * 160), row(unique(), email="e" * 255), row(unique(), roles=[1] * 5),
           row(unique(), display_name="a\0b")]
    answer = run_import(admin, [bad[0], row(kept[0]), *bad[1:], row(kept[1])])
    assert (answer.created_count, answer.failed_count) == (2, 5)
    assert [(f.index, f.code, f.reason) for f in answer.failures] == [
        (index, 3, "FIELD_INVALID") for index in (0, 2, 3, 4, 5)]
    assert run_import(admin, bad[:1]).failed_count == 1




# --- ListUsers ---------------------------------------------------------------------------------------------------


def test_filters_and_their_pages(admin):
    prefix = uuid.uuid4().hex[:8]
    run_import(admin, [row(f"f{prefix}{index:03}", None, roles=[2] if index % 3 == 0 else []) for index in range(90)])

    def pages(filter, order_by, page_size):
        users, token = [], ""
        while True:
            answer = admin.user.ListUsers(user_pb2.ListUsersRequest(filter=filter, order_by=order_by, page_size=page_size,
                                                                    page_token=token), metadata=admin.metadata, timeout=20)
            assert answer.total_size == -1 and len(answer.users) <= page_size
            users += [user.username for user in answer.users]
            token = answer.next_page_token
            if not token:
                return users

    services = [f"f{prefix}{index:03}" for index in range(0, 90, 3)]
    for order_by, expected in (("username", services), ("username desc", services[::-1])):
        for page_size in (1, 7, 30, 200):
            assert pages(f'role = SERVICE AND username = "F{prefix}*"', order_by, page_size) == expected
    assert set(pages(f'role = SERVICE AND username = "f{prefix}*"', "", 4)) == set(services)
    with pytest.raises(grpc.RpcError) as caught:
        pages("state = NEW", "", 1)
    assert reason_of(caught.value) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "user.v1", ["filter"])
    assert "filter must name the state ACTIVE, LOCKED or DISABLED" in caught.value.details()
