# SPDX-License-Identifier: Apache-2.0
"""The store's file on the real program: backup, check, restore, migration, the audit record, and every fault of the
file and its disk, at start and while a server runs."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time

import grpc
import pytest
from conftest import ADMIN_PASSWORD, Clients, reason_of, wait_for
from google.protobuf import empty_pb2

from auth.v1 import auth_pb2
from user.v1 import user_pb2

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}
UNAVAILABLE = (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


@pytest.fixture
def served(mote):
    """A server with an administrator who is logged in."""
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve()
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    return mote, program, client


def create(client, name):
    request = user_pb2.CreateUserRequest(user=user_pb2.User(username=name))
    return client.user.CreateUser(request, metadata=client.metadata, timeout=10).user.id


def try_create(client, name):
    """The id, or (code, reason)."""
    try:
        return create(client, name)
    except grpc.RpcError as error:
        return reason_of(error)[:2]


def get(client, identifier="me"):
    return client.user.GetUser(user_pb2.GetUserRequest(id=identifier), metadata=client.metadata, timeout=10).user


def is_serving(client):
    answer = client.user.HealthCheck(empty_pb2.Empty(), timeout=5)
    return answer.status == "SERVING"


def is_ready(mote, program):
    return mote.run("healthcheck", "--addr", program.address, check=False).returncode == 0


def created_soon(client, prefix):
    """Tries under new names until one is taken; its id."""
    made = []

    def attempt():
        answer = try_create(client, f"{prefix}-{len(made)}-{time.monotonic_ns() % 10**9}")
        made.append(answer)
        return isinstance(answer, str)

    wait_for(attempt, 10, "writes succeed again")
    return made[-1]


def assert_kept(mote, program, identifiers):
    """What was acknowledged is there, now and after a restart."""
    for _ in range(2):
        client = Clients(program)
        client.login("admin", ADMIN_PASSWORD)
        for identifier in identifiers:
            assert get(client, identifier).id == identifier
        assert program.stop() == 0
        assert mote.run("store", "check").stdout == "ok\n"
        program = mote.serve()
    assert program.stop() == 0


def assert_outage(served, break_it, mend_it, expected=UNAVAILABLE, reads=True, ready=False):
    """Writes are refused with `expected` from `break_it` to `mend_it`, and nothing acknowledged is lost."""
    mote, program, client = served
    kept = [create(client, "before")]
    break_it()
    try:
        assert try_create(client, "meanwhile-1") == expected
        wait_for(lambda: is_serving(client) == ready, 10, "health follows")
        wait_for(lambda: is_ready(mote, program) == ready, 10, "readiness follows")
        assert try_create(client, "meanwhile-2") == expected
        if reads:
            assert get(client, kept[0]).username == "before"
    finally:
        mend_it()
    kept.append(created_soon(client, "after"))
    wait_for(lambda: is_serving(client), 10, "healthy again")
    wait_for(lambda: is_ready(mote, program), 10, "ready again")
    assert_kept(mote, program, kept)


# --- backup, check, restore --------------------------------------------------------------------------------------


def test_backup_beside_a_writing_server(served, tmp_path):
    mote, program, client = served
    stop = threading.Event()
    written = [create(client, "first")]

    def write():
        while not stop.is_set():
            written.append(create(client, f"w-{len(written)}"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        wait_for(lambda: len(written) > 50)
        before = list(written)
        result = mote.run("store", "backup", tmp_path / "copy.db")
        assert "backed up" in result.stdout
    finally:
        stop.set()
        writer.join()
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert mote.run("store", "check").stdout == "ok\n"
    assert mote.run("store", "check", "--file", tmp_path / "copy.db").stdout == "ok\n"
    again = mote.run("store", "backup", tmp_path / "copy.db", check=False)
    assert again.returncode == 73 and "exists" in again.stderr
    mote.run("store", "backup", "--force", tmp_path / "copy.db")
    refused = mote.run("store", "restore", tmp_path / "copy.db", check=False)
    assert refused.returncode == 75 and "locked" in refused.stderr
    extra = create(client, "too-late")
    assert program.stop() == 0
    restored = mote.run("store", "restore", tmp_path / "copy.db")
    kept = list(mote.folder.glob("mote.db.before-restore-*"))
    assert len(kept) == 1 and str(kept[0]) in restored.stdout
    last = json.loads(mote.run("audit", "list", "--json", "--limit", "1").stdout)
    assert (last["action"], last["actor"], last["detail"]) == ("RestoreStore", "local", str(tmp_path / "copy.db")[-120:])
    program = mote.serve()
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    for identifier in before:
        assert get(client, identifier).id == identifier
    with pytest.raises(grpc.RpcError) as error:
        get(client, extra)
    assert reason_of(error.value)[1] == "USER_NOT_FOUND"


def test_backup_after_a_kill(served, tmp_path):
    """No server, and a log that it left: the copy has what the log has, and the store stays as it is."""
    mote, program, client = served
    create(client, "in-the-log")
    program.process.send_signal(signal.SIGKILL)
    program.process.wait()
    assert mote.database.with_name("mote.db-wal").stat().st_size > 0
    mote.run("store", "backup", tmp_path / "copy.db")
    with sqlite3.connect(tmp_path / "copy.db") as copy:
        assert copy.execute("SELECT count(*) FROM users WHERE username = 'in-the-log'").fetchone() == (1,)
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    copy.close()
    assert mote.database.with_name("mote.db-wal").stat().st_size > 0
    mote.serve()


def test_store_commands_refuse(mote, tmp_path):
    assert mote.run("store", "backup", tmp_path / "b", check=False).returncode == 66
    assert mote.run("store", "check", check=False).returncode == 66
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    assert mote.run("store", "restore", tmp_path / "none", check=False).returncode == 66
    assert mote.run("store", "backup", tmp_path / "no" / "b", check=False).returncode == 73
    assert mote.run("store", "backup", mote.database, "--force", check=False).returncode == 73
    assert mote.run("store", "backup", check=False).returncode == 64
    noise = tmp_path / "noise"
    noise.write_bytes(os.urandom(20000))
    before = mote.database.read_bytes()
    for command in (("restore", noise), ("check", "--file", noise)):
        result = mote.run("store", *command, check=False)
        assert result.returncode == 65 and len(result.stderr.splitlines()) == 1
    assert mote.database.read_bytes() == before


# --- the audit record --------------------------------------------------------------------------------------------


def test_audit_list(served):
    mote, program, client = served
    alice = create(client, "alice")
    client.user.DisableUser(user_pb2.DisableUserRequest(id=alice, reason="left \x1b[31m the company"),
                            metadata=client.metadata, timeout=5)
    rows = [json.loads(line) for line in mote.run("audit", "list", "--json").stdout.splitlines()]
    assert [(row["action"], row["actor"] == "local") for row in rows] == [
        ("CreateUser", True), ("Login", False), ("CreateUser", False), ("DisableUser", False)]
    assert [row["id"] for row in rows] == [1, 2, 3, 4]
    assert rows[1]["address"] == "127.0.0.1" and rows[1]["sessionId"]
    assert rows[3]["userId"] == alice and "left" in rows[3]["detail"]
    table = mote.run("audit", "list").stdout
    assert "\x1b" not in table and "alice" in table and "the company" in table
    of_alice = mote.run("audit", "list", "--user", "alice", "--json", "--since", "1h").stdout.splitlines()
    assert [json.loads(line)["id"] for line in of_alice] == [3, 4]
    assert len(mote.run("audit", "list", "--json", "--action", "Login").stdout.splitlines()) == 1
    assert len(mote.run("audit", "list", "--json", "--limit", "1").stdout.splitlines()) == 1
    assert mote.run("audit", "list", "--json", "--since", "2999-01-01").stdout == ""
    for wrong in (("--action", "login"), ("--since", "2026-13-01"), ("--limit", "0"), ("--since", "yesterday")):
        assert mote.run("audit", "list", *wrong, check=False).returncode == 64
    assert mote.run("audit", "list", "--user", "nobody", check=False).returncode == 66
    assert ADMIN_PASSWORD not in table


def test_audit_follow(served):
    mote, _, client = served
    follower = subprocess.Popen([mote.program_path, "audit", "list", "--follow", "--action", "CreateUser"],
                                env=mote.environment(), stdout=subprocess.PIPE, text=True)
    try:
        assert json.loads(follower.stdout.readline())["actor"] == "local"
        identifier = create(client, "alice")
        assert json.loads(follower.stdout.readline())["userId"] == identifier
    finally:
        follower.kill()
        follower.wait()


def test_audit_of_an_import(mote, tmp_path):
    users = tmp_path / "users.jsonl"
    users.write_text("".join(json.dumps({"username": name}) + "\n" for name in ("ann", "ben", "me")))
    mote.run("user", "import", users, check=False, **CHEAP)
    rows = [json.loads(line) for line in mote.run("audit", "list", "--json").stdout.splitlines()]
    assert [(row["action"], row["detail"]) for row in rows] == [("ImportUsers", "created 2, refused 1")]


# --- faults while a server runs ----------------------------------------------------------------------------------


def test_database_moved_away_and_back(served):
    database = served[0].database
    away = database.with_name("away.db")
    assert_outage(served, lambda: database.rename(away), lambda: away.rename(database))


def test_database_replaced_by_another_store(served, tmp_path):
    mote = served[0]
    away = mote.database.with_name("away.db")
    other = tmp_path / "other.db"
    mote.run("user", "create", "--username", "stranger", STORE_URL=f"sqlite:{other}", **CHEAP)

    def replace():
        mote.database.rename(away)
        shutil.copy(other, mote.database)

    assert_outage(served, replace, lambda: away.rename(mote.database))


def test_folder_gone_and_back(served):
    folder = served[0].folder
    away = folder.with_name(folder.name + "-away")
    mote, program, client = served
    kept = [create(client, "before")]
    folder.rename(away)
    assert try_create(client, "meanwhile") == UNAVAILABLE
    wait_for(lambda: not is_serving(client), 10)
    away.rename(folder)
    kept.append(created_soon(client, "after"))
    assert_kept(mote, program, kept)


def test_log_deleted(served):
    """Acknowledged writes were only there: they are saved from the file that is still open."""
    mote, program, client = served
    kept = [create(client, f"before-{i}") for i in range(20)]
    mote.database.with_name("mote.db-wal").unlink()
    assert try_create(client, "meanwhile") == UNAVAILABLE
    kept.append(created_soon(client, "after"))
    assert_kept(mote, program, kept)


def test_held_by_another_program(served):
    mote, _, _ = served
    held = []

    def hold():
        other = sqlite3.connect(mote.database, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        held.append(other)

    def let_go():
        held[0].execute("ROLLBACK")
        held[0].close()

    assert_outage(served, hold, let_go, ready=True)


def mount(folder, *options):
    result = subprocess.run(["mount", *options, folder], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        pytest.skip("cannot mount here: " + result.stderr.strip())


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mount(folder, "-t", "tmpfs", "-o", "size=4m", "tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


@pytest.fixture
def served_on_disk(mote, small_disk):
    mote.database = small_disk / "mote.db"
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    program = mote.serve()
    client = Clients(program)
    client.login("admin", ADMIN_PASSWORD)
    return mote, program, client


def test_backup_on_a_full_disk(served_on_disk, small_disk, tmp_path):
    mote, _, client = served_on_disk
    with open(small_disk / "filler", "wb", buffering=0) as filler:
        try:
            while True:
                filler.write(b"x" * 4096)
        except OSError:
            pass
    result = mote.run("store", "backup", small_disk / "copy.db", check=False)
    assert result.returncode == 74 and "no space" in result.stderr
    assert sorted(path.name for path in small_disk.glob("copy*")) == []
    mote.run("store", "backup", tmp_path / "copy.db")
    assert get(client).username == "admin"


def test_read_only_at_start(mote, small_disk):
    mote.database = small_disk / "mote.db"
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    mount(small_disk, "-o", "remount,ro")
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0")
    assert result.returncode == 74 and "read-only" in result.stderr


# --- faults at start ---------------------------------------------------------------------------------------------


def serve_code(mote):
    result = mote.run("serve", check=False, JWT_SECRET=mote.secret, LISTEN="127.0.0.1:0", timeout=20)
    return result.returncode, result.stderr


def fill(mote, users):
    lines = "".join(json.dumps({"username": f"u-{i}", "displayName": "x" * 60}) + "\n" for i in range(users))
    (mote.folder / "users.jsonl").write_text(lines)
    mote.run("user", "import", mote.folder / "users.jsonl", **CHEAP)


@pytest.mark.parametrize("offset", [0, 16, 4096, 5 * 4096, 7 * 4096])
def test_damaged_at_start(mote, offset):
    fill(mote, 200)
    with open(mote.database, "r+b") as file:
        file.seek(offset)
        file.write(b"\xa5" * 600)
    code, text = serve_code(mote)
    assert code == 65 and "backup" in text


def test_empty_at_start(mote):
    mote.create_user("admin", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    os.truncate(mote.database, 0)
    code, text = serve_code(mote)
    assert code == 65 and "empty" in text


def test_database_gone_but_its_log_there(served):
    mote, program, client = served
    create(client, "in-the-log")
    program.process.send_signal(signal.SIGKILL)
    program.process.wait()
    mote.database.unlink()
    code, text = serve_code(mote)
    assert code == 65 and "-wal" in text


def test_log_cut_off_at_start(served):
    """A log that ends early is what a kill leaves: the store is whole, as it was at an earlier moment."""
    mote, program, client = served
    for index in range(20):
        create(client, f"cut-{index}")
    program.process.send_signal(signal.SIGKILL)
    program.process.wait()
    log = mote.database.with_name("mote.db-wal")
    os.truncate(log, log.stat().st_size // 2 + 100)
    program = mote.serve()
    assert program.stop() == 0
    assert mote.run("store", "check").stdout == "ok\n"
