# SPDX-License-Identifier: Apache-2.0
"""The administrator's commands on the real program: pipes for programs, a pseudo-terminal for people, exit codes."""

import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import termios
import time

import pytest
from conftest import ADMIN_PASSWORD, Clients, reason_of

CHEAP = {"PASSWORD_HASH": "argon2id:m=1024,t=1,p=1"}
KEYS = ["id", "username", "email", "displayName", "roles", "state", "createTime", "updateTime", "emailVerified", "etag"]


def lines_of(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.fixture
def filled(mote):
    """A store with an administrator, ada, and two users, bob and eve."""
    mote.create_user("ada", ADMIN_PASSWORD, "ADMIN", **CHEAP)
    mote.create_user("bob", ADMIN_PASSWORD, **CHEAP)
    mote.run("user", "create", "--username", "eve", "--email", "Eve@example.com", "--display-name", "Eve É", **CHEAP)
    return mote


class Terminal:
    """A command on a pseudo-terminal: its standard input, output and error are the terminal."""

    def __init__(self, mote, *arguments, columns=200, stdin=None, **settings):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.process = subprocess.Popen([mote.program_path, *map(str, arguments)], stdin=slave if stdin is None else stdin,
                                        stdout=slave, stderr=slave, env=mote.environment(**CHEAP, **settings),
                                        start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0))
        self.slave = slave
        self.output = b""

    def read(self, until=None, timeout=30):
        """What the terminal shows, up to `until` or the end of the program."""
        deadline = time.monotonic() + timeout
        while until is None or until not in self.output:
            assert time.monotonic() < deadline, self.output
            ready = select.select([self.master], [], [], 0.05)[0]
            if ready:
                self.output += os.read(self.master, 65536)
            elif self.process.poll() is not None:
                break
        if until is not None:
            assert until in self.output, self.output
        return self.output

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def type(self, text):
        os.write(self.master, text.encode())

    def end(self):
        output = self.read().decode()
        code = self.process.wait(30)
        os.close(self.slave)
        os.close(self.master)
        assert "AddressSanitizer" not in output and "runtime error" not in output, output
        return code, output.replace("\r\n", "\n")


# --- one table of commands ---------------------------------------------------------------------------------------


def test_help_of_every_command(mote):
    names = re.findall(r"^## mote (.*)$", mote.run("help", "--reference").stdout, re.MULTILINE)
    assert {"user create", "user import", "token verify", "serve"} <= set(names)
    for name in names:
        text = mote.run(*name.split(), "--help").stdout
        assert text.startswith(f"mote {name}: ") and f"usage: mote {name}" in text
    assert "mote user list" in mote.run("user", "--help").stdout
    group = mote.run("user", check=False)
    assert group.returncode == 64 and "mote user list" in group.stderr and group.stdout == ""


@pytest.mark.parametrize("arguments", [
    ["user", "list", "--nothing"], ["user", "list", "ada"], ["user", "show"], ["user", "show", "ada", "eve"],
    ["user", "list", "--limit", "0"], ["user", "list", "--limit", "-1"], ["user", "list", "--order-by", "email"],
    ["user", "create"], ["user", "delete", "ada"], ["token", "mint"], ["token", "mint", "--user", "a", "--user-id", "b"],
    ["token", "inspect", "eyJ.eyJ.x"], ["user", "frob"], ["frob"]])
def test_usage_errors(filled, arguments):
    result = filled.run(*arguments, check=False, JWT_SECRET=filled.secret)
    assert result.returncode == 64 and result.stdout == "" and result.stderr.strip()


@pytest.mark.parametrize("arguments", [
    ["user", "list"], ["user", "show", "ada"], ["user", "set-password", "ada"], ["user", "disable", "ada"],
    ["user", "enable", "ada"], ["user", "delete", "ada", "--yes"], ["user", "export"], ["token", "mint", "--user", "ada"],
    ["store", "backup", "copy.db"], ["store", "check"], ["audit", "list"]])
def test_a_mistyped_store_is_not_made(mote, tmp_path, arguments):
    path = tmp_path / "mistyped" / "mote.db"
    path.parent.mkdir()
    result = mote.run(*arguments, check=False, input="", STORE_URL=f"sqlite:{path}", JWT_SECRET=mote.secret)
    assert result.returncode == 66 and result.stdout == ""
    assert result.stderr.count("\n") == 1 and f"there is no {path}" in result.stderr
    assert list(path.parent.iterdir()) == []


# --- lists and single users --------------------------------------------------------------------------------------


def test_list_and_show(filled):
    users = lines_of(filled.run("user", "list", "--json"))
    assert [user["username"] for user in users] == ["ada", "bob", "eve"]
    assert all(list(user) == KEYS for user in users)
    assert users[2]["displayName"] == "Eve É" and users[2]["roles"] == ["ROLE_USER"]
    assert users[0]["roles"] == ["ROLE_ADMIN"] and users[0]["state"] == "USER_STATE_ACTIVE"
    table = filled.run("user", "list", "--order-by", "username desc", "--limit", "2").stdout.splitlines()
    assert table[0].split()[:3] == ["USERNAME", "ROLES", "STATE"] and "\x1b" not in "".join(table)
    assert [line.split()[0] for line in table[1:]] == ["eve", "bob"]
    assert table[0].index("STATE") == table[1].index("ACTIVE")
    for name in ("EVE", "eve@EXAMPLE.com", users[2]["id"], users[2]["id"].upper()):
        assert lines_of(filled.run("user", "show", name, "--json")) == [users[2]]
    assert "Eve É" in filled.run("user", "show", "eve").stdout


def test_filters(filled):
    """Those of ListUsers: the same parser, also over pages that are short because little fits."""
    for text, names in (("role = ADMIN", ["ada"]), ('username = "B*"', ["bob"]), ('email = "EVE@example.com"', ["eve"]),
                        ("state = DISABLED", []), ('role = USER AND username = "e*"', ["eve"])):
        assert [user["username"] for user in lines_of(filled.run("user", "list", "--json", "--filter", text))] == names
    result = filled.run("user", "list", "--filter", "nothing = 1", check=False)
    assert result.returncode == 64 and "--filter" in result.stderr


def test_many_users_are_listed_page_by_page(mote, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("username\n" + "".join(f"user{i:04}\n" for i in range(1001)))
    mote.run("user", "import", path, **CHEAP)
    for order in ("create_time", "create_time desc", "username", "username desc"):
        names = [user["username"] for user in lines_of(mote.run("user", "list", "--json", "--order-by", order))]
        assert sorted(names) == [f"user{i:04}" for i in range(1001)]
        if order.startswith("username"):
            assert names == sorted(names, reverse=order.endswith("desc"))
    assert len(lines_of(mote.run("user", "list", "--json", "--limit", "201"))) == 201


def test_state(filled):
    assert filled.run("user", "disable", "bob", "--reason", "gone").stdout == "disabled bob; 0 sessions ended\n"
    again = filled.run("user", "disable", "bob", check=False)
    assert again.returncode == 65 and "in that state already" in again.stderr
    [user] = lines_of(filled.run("user", "enable", "bob", "--json"))
    assert user["state"] == "USER_STATE_ACTIVE"
    assert filled.run("user", "disable", "bob", "--reason", "x" * 257, check=False).returncode == 65
    assert filled.run("user", "disable", "nobody", check=False).returncode == 65


def test_the_last_administrator_is_kept(filled):
    for arguments in (["disable", "ada"], ["delete", "ada", "--yes"]):
        result = filled.run("user", *arguments, check=False)
        assert result.returncode == 65 and "last active administrator" in result.stderr


def test_delete(filled):
    refused = filled.run("user", "delete", "eve", check=False, input="yes\n")  # a pipe confirms nothing
    assert refused.returncode == 64 and "--yes" in refused.stderr
    assert filled.run("user", "delete", "eve", "--yes").stdout == "deleted eve\n"
    assert filled.run("user", "show", "eve", check=False).returncode == 65


@pytest.mark.parametrize("flags, what", [
    (["--username", "Bob"], "taken"), (["--username", "new", "--email", "eve@Example.com"], "email"),
    (["--username", "x"], "username"), (["--username", "new", "--role", "KING"], "roles"),
    (["--username", "new", "--role", "USER,USER"], "roles"), (["--username", "new", "--email", "a"], "email"),
    (["--username", "new", "--display-name", " "], "display_name"), (["--username", "n" * 300], "too long")])
def test_create_refuses_what_the_service_refuses(filled, flags, what):
    result = filled.run("user", "create", *flags, check=False)
    assert result.returncode == 65 and what in result.stderr and result.stdout == ""


def test_set_password(filled):
    new = "quite another secret"
    assert filled.run("user", "set-password", "bob", "--require-change", input=new + "\n", **CHEAP).returncode == 0
    short = filled.run("user", "set-password", "bob", input="short", check=False, **CHEAP)
    assert short.returncode == 65 and "8 to 128" in short.stderr and "short" not in short.stderr
    assert filled.run("user", "set-password", "bob", input="x" * 200, check=False, **CHEAP).returncode == 65
    client = Clients(filled.serve())
    assert client.login("bob", new).password_change_required


def test_acts_are_recorded(filled):
    filled.run("user", "disable", "eve", "--reason", "a reason")
    filled.run("user", "set-password", "eve", input="some other secret", **CHEAP)
    with sqlite3.connect(filled.database) as database:
        rows = database.execute("SELECT detail FROM audit ORDER BY rowid").fetchall()
    assert len(rows) == 5 and rows[3][0] == "a reason"


# --- a server holds the store ------------------------------------------------------------------------------------


def test_beside_a_server(filled, tmp_path):
    program = filled.serve()
    (tmp_path / "in").write_text('{"username":"new"}\n')
    for arguments, method in ((["user", "list"], "UserService/ListUsers"), (["user", "show", "ada"], "GetUser"),
                              (["user", "disable", "eve"], "DisableUser"), (["user", "export"], "ListUsers"),
                              (["user", "import", tmp_path / "in"], "ImportUsers"),
                              (["user", "set-password", "eve"], "AuthService/SetPassword"),
                              (["token", "mint", "--user", "ada"], "Login")):
        result = filled.run(*arguments, check=False, JWT_SECRET=filled.secret)
        assert result.returncode == 75 and result.stdout == ""
        assert f"pid {program.process.pid}" in result.stderr and method in result.stderr and "stop" in result.stderr


def test_a_store_that_cannot_be_opened(mote, tmp_path):
    missing = {"STORE_URL": f"sqlite:{tmp_path}/no/folder/x.db"}
    assert mote.run("user", "list", check=False, **missing).returncode == 66
    assert mote.run("user", "create", "--username", "ada", check=False, **missing).returncode == 73
    (tmp_path / "bad.db").write_bytes(b"this is no database" * 1000)
    assert mote.run("user", "list", check=False, STORE_URL=f"sqlite:{tmp_path}/bad.db").returncode == 65
    assert mote.run("user", "list", check=False, STORE_URL="nothing:x").returncode == 78


def test_standard_output_that_is_full(filled):
    with open("/dev/full", "w", encoding="ascii") as full:
        for arguments in (["list"], ["list", "--json"], ["export"], ["show", "ada"]):
            result = subprocess.run([filled.program_path, "user", *arguments], stdout=full, stderr=subprocess.PIPE,
                                    env=filled.environment(), timeout=60, check=False)
            assert result.returncode == 74, (arguments, result.stderr)


# --- export and import -------------------------------------------------------------------------------------------


def test_export_gives_the_same_store_again(filled, tmp_path):
    filled.run("user", "disable", "bob")
    first, second = tmp_path / "first", tmp_path / "second"
    filled.run("user", "export", "--with-password-hashes", "--output", first)
    assert first.stat().st_mode & 0o777 == 0o600
    assert filled.run("user", "export", "--output", first, check=False).returncode == 73  # never over another file
    other = {"STORE_URL": f"sqlite:{tmp_path}/other.db"}
    result = filled.run("user", "import", "--keep-ids", first, **other)
    assert result.stdout == "created 3 users, refused 0\n"
    filled.run("user", "export", "--with-password-hashes", "--output", second, **other)
    remade = [{**json.loads(line), "etag": ""} for line in second.read_text().splitlines()]
    assert remade == [{**json.loads(line), "etag": ""} for line in first.read_text().splitlines()]
    client = Clients(filled.serve(**other))
    client.login("ada", ADMIN_PASSWORD)
    with pytest.raises(Exception) as error:
        client.login("bob", ADMIN_PASSWORD)
    assert reason_of(error.value)[1] == "CREDENTIALS_INVALID"


def test_export_without_hashes_has_none(filled):
    users = lines_of(filled.run("user", "export"))
    assert [list(user) for user in users] == [KEYS] * 3 and "argon2" not in json.dumps(users)
    hashes = [user["passwordHash"] for user in lines_of(filled.run("user", "export", "--with-password-hashes"))]
    assert hashes[0].startswith("$argon2id$") and hashes[2] == ""


def test_import_goes_on_after_what_it_refuses(filled, tmp_path):
    path = tmp_path / "users.json"
    path.write_text("\n".join([
        '{"username":"New","initialPassword":"a fine password","roles":["ROLE_SERVICE"],"email":null}',
        '{"username":"x"}',
        '{"username":"ada"}',
        '{"username":"new"}',
        "not json",
        '{"username":"b","username":"c"}',
        '{"username":"who","nothing":1}',
        '{"username":"who","initialPassword":"who"}',
        '{"username":"who","passwordHash":"plain"}',
        '{"username":"who","roles":["KING"]}',
        '{"username":"who","state":"LOCKED"}',
        '{"username":"who","id":"1"}',
        "",
        '{"username":"last","email":"EVE@example.com"}',
        '{"username":"' + "y" * 17000 + '"}',
        '{"username":"good","state":"DISABLED","createTime":"2020-01-01T00:00:00Z"}']))
    result = filled.run("user", "import", path, check=False, **CHEAP)
    assert result.returncode == 65 and result.stdout == "created 2 users, refused 13\n"
    told = sorted({int(line.split(":")[2]) for line in result.stderr.splitlines()})
    assert told == [2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15], result.stderr
    assert "a fine password" not in result.stderr
    users = {user["username"]: user for user in lines_of(filled.run("user", "list", "--json"))}
    assert users["new"]["roles"] == ["ROLE_SERVICE"] and users["good"]["state"] == "USER_STATE_DISABLED"
    assert not users["good"]["createTime"].startswith("2020")
    Clients(filled.serve()).login("new", "a fine password")


def test_import_of_csv(filled):
    text = ('\ufeffusername,display_name,roles,email,initial_password\r\n'
            'carol,"Carol ""C"", née O",“,,\r\n'
            'dave,"Dave ""D"", O\'Neill","ADMIN,USER",d@example.com,"a, ""fine"" one"\r\n'
            'mallory,"open,,,\r\n'
            'too,many,USER,,,\r\n'
            'few,USER\r\n')
    result = filled.run("user", "import", "-", input=text, check=False, **CHEAP)
    assert result.returncode == 65 and result.stdout == "created 1 users, refused 4\n", result.stderr
    [dave] = lines_of(filled.run("user", "show", "dave", "--json"))
    assert dave["displayName"] == 'Dave "D", O\'Neill' and dave["roles"] == ["ROLE_USER", "ROLE_ADMIN"]
    Clients(filled.serve()).login("dave", 'a, "fine" one')


@pytest.mark.parametrize("header", ["name\nada\n", "username,username\n", '"username\n', "a\n" * 5, "\n"])
def test_a_header_that_is_no_good_refuses_the_file(mote, header):
    result = mote.run("user", "import", "-", input=header, check=False)
    assert result.returncode == 65 and result.stdout == "created 0 users, refused 1\n" and ":1: " in result.stderr


def test_dry_run_and_empty_and_missing(filled, tmp_path):
    dry = filled.run("user", "import", "-", "--dry-run", input='{"username":"new"}\n{"username":"ada"}\n', check=False)
    assert dry.returncode == 65 and dry.stdout == "would create 1 users, refused 1\n"
    assert len(lines_of(filled.run("user", "list", "--json"))) == 3
    assert filled.run("user", "import", "-", input="").stdout == "created 0 users, refused 0\n"
    assert filled.run("user", "import", tmp_path / "nothing", check=False).returncode == 66
    keep = filled.run("user", "import", "--keep-ids", "-", input='{"username":"new"}\n', check=False)
    assert keep.returncode == 65 and "id is missing" in keep.stderr


def test_ten_thousand_hashed_users_take_seconds(filled, tmp_path):
    hashed = lines_of(filled.run("user", "export", "--with-password-hashes"))[0]["passwordHash"]
    path = tmp_path / "many"
    path.write_text("".join(json.dumps({"username": f"user{i}", "initialPassword": hashed}) + "\n" for i in range(10000)))
    began = time.monotonic()
    assert filled.run("user", "import", path, timeout=120).stdout == "created 10000 users, refused 0\n"
    took = time.monotonic() - began
    print(f"import of 10000 hashed users: {took:.1f} s")
    assert took < 60  # a commit each would take minutes on most disks
    Clients(filled.serve()).login("user9999", ADMIN_PASSWORD)


# --- terminals ---------------------------------------------------------------------------------------------------


def test_a_password_is_typed_twice_without_echo(mote):
    terminal = Terminal(mote, "user", "create", "--username", "ada", "--password-stdin")
    terminal.read(b"New password: ")
    assert not terminal.echoes()
    terminal.type("typed in the dark\n")
    terminal.read(b"The same again: ")
    assert not terminal.echoes()
    terminal.type("typed in the dark\n")
    code, output = terminal.end()
    assert code == 0 and "created ada" in output and "dark" not in output
    Clients(mote.serve()).login("ada", "typed in the dark")


def test_two_different_passwords_are_refused(filled):
    terminal = Terminal(filled, "user", "set-password", "bob")
    terminal.read(b"New password: ")
    terminal.type("typed in the dark\n")
    terminal.read(b"The same again: ")
    terminal.type("typed in the park\n")
    code, output = terminal.end()
    assert code == 65 and "not the same" in output and "typed in" not in output


@pytest.mark.parametrize("key, number", [("\x03", signal.SIGINT), ("\x1c", signal.SIGQUIT)])
@pytest.mark.parametrize("command", [["create", "--username", "eve", "--password-stdin"], ["set-password", "ada"]])
def test_a_prompt_that_is_interrupted_leaves_the_terminal_as_it_was(mote, command, key, number):
    """The second has the store's threads beside the prompt, which must not take the signal."""
    mote.run("user", "create", "--username", "ada")
    terminal = Terminal(mote, "user", *command)
    terminal.read(b"New password: ")
    assert not terminal.echoes()
    terminal.type("half a pass" + key)
    terminal.read()
    assert terminal.echoes()
    code, output = terminal.end()
    assert code == -number and "half" not in output


def test_delete_asks_on_a_terminal(filled):
    for answer, expected in (("no", 64), ("y", 64), ("yes", 0)):
        terminal = Terminal(filled, "user", "delete", "eve")
        terminal.read(b"Type yes to go on: ")
        terminal.type(answer + "\n")
        code, output = terminal.end()
        assert code == expected, output
    assert filled.run("user", "show", "eve", check=False).returncode == 65


def test_a_table_ends_at_the_edge_of_the_terminal(filled):
    code, output = Terminal(filled, "user", "list", columns=40).end()
    rows = [line for line in output.splitlines() if line]
    assert code == 0 and len(rows) == 4
    assert all(len(row) <= 40 for row in rows) and rows[0].endswith("…") and "\x1b" not in output


def test_hostile_names_do_not_reach_the_terminal(filled):
    """The rules refuse control characters, but not those that turn the direction; and a file can be edited."""
    with sqlite3.connect(filled.database) as database:
        database.execute("UPDATE users SET display_name = ? WHERE username = 'eve'", ("\x1b[2J\x07\u202eevil\x9b1m",))
        database.execute("UPDATE users SET display_name = ? WHERE username = 'bob'", ("a\u2066b",))
    for arguments in (["list"], ["show", "eve"], ["list", "--json"], ["show", "eve", "--json"]):
        code, output = Terminal(filled, "user", *arguments, stdin=subprocess.DEVNULL).end()
        assert code == 0 and "\\u001b[2J\\u0007\\u202eevil\\u009b1m" in output
        assert not set(output) & set("\x1b\x07\u202e\u2066\x9b")


def test_hashes_are_not_shown_on_a_terminal(filled):
    code, output = Terminal(filled, "user", "export", "--with-password-hashes").end()
    assert code == 64 and "argon2" not in output and "--output" in output


def test_a_progress_bar_on_a_terminal_only(filled, tmp_path):
    path = tmp_path / "slow.json"
    path.write_text("".join(json.dumps({"username": f"slow{i}", "initialPassword": f"a password of {i}"}) + "\n"
                            for i in range(16)))
    slow = {"PASSWORD_HASH": "argon2id:m=65536,t=4,p=1"}
    text = subprocess.run([filled.program_path, "user", "import", path], capture_output=True, check=False,
                          env=filled.environment(**slow), timeout=60).stderr
    assert b"\x1b" not in text and b"\r" not in text
    path.write_text(path.read_text().replace("slow", "fast"))
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    process = subprocess.Popen([filled.program_path, "user", "import", path], stdout=subprocess.DEVNULL, stderr=slave,
                               env=filled.environment(**slow))
    shown = b""
    while process.poll() is None:
        if select.select([master], [], [], 0.05)[0]:
            shown += os.read(master, 65536)
    os.close(slave)
    os.close(master)
    assert process.returncode == 0
    assert b"importing: " in shown and b"of 16 users" in shown and b"[#" in shown
    assert shown.endswith(b"\r\x1b[K")  # and nothing of it stays


# --- secrets -----------------------------------------------------------------------------------------------------


def test_no_password_in_the_process_table(mote):
    """While a command hashes, its arguments and environment, which others may read, do not have the password."""
    process = subprocess.Popen([mote.program_path, "user", "create", "--username", "ada", "--password-stdin"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env=mote.environment(PASSWORD_HASH="argon2id:m=65536,t=20,p=1", JWT_SECRET=mote.secret))
    process.stdin.write(b"a password nobody sees")
    process.stdin.close()
    seen = 0
    while process.poll() is None:
        try:
            text = b"".join(pathlib.Path(f"/proc/{process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
        except OSError:
            break
        assert b"nobody sees" not in text
        seen += 1
    output = process.stdout.read() + process.stderr.read()
    assert process.wait(30) == 0 and seen > 3 and b"nobody sees" not in output


# --- tokens ------------------------------------------------------------------------------------------------------


def test_mint_inspect_verify(filled):
    key = {"JWT_SECRET": filled.secret}
    token = filled.run("token", "mint", "--user", "ada", "--expires", "5m", **key).stdout
    assert token.count(".") == 2 and token.endswith("\n")
    shown = filled.run("token", "inspect", input="Bearer " + token)
    assert "HS256" in shown.stdout and "ADMIN" in shown.stdout
    assert re.search(r"in [45] minutes", shown.stdout)
    assert "NOT VERIFIED" in shown.stderr
    [claims] = lines_of(filled.run("token", "inspect", "--json", input=token))
    assert claims["exp"] - claims["iat"] == 300 and claims["roles"] == "ADMIN"
    assert filled.run("token", "verify", input=token, **key).stdout.startswith("valid: expires ")
    assert filled.run("token", "mint", "--user", "ada", "--expires", "16m", check=False, **key).returncode == 64
    assert filled.run("token", "mint", "--user", "nobody", check=False, **key).returncode == 65
    filled.run("user", "disable", "eve")
    assert filled.run("token", "mint", "--user", "eve", check=False, **key).returncode == 65
    # A server takes it, knows its session, and can end that.
    from auth.v1 import auth_pb2
    from user.v1 import user_pb2

    client = Clients(filled.serve(), token.strip())
    assert client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5).user.username == "ada"
    sessions = client.auth.ListSessions(auth_pb2.ListSessionsRequest(user_id="me"), metadata=client.metadata, timeout=5)
    assert [session.user_agent for session in sessions.sessions] == ["mote token mint"]
    client.auth.Logout(auth_pb2.LogoutRequest(), metadata=client.metadata, timeout=5)
    with pytest.raises(Exception) as error:
        client.user.GetUser(user_pb2.GetUserRequest(id="me"), metadata=client.metadata, timeout=5)
    assert reason_of(error.value)[1] == "SESSION_REVOKED"


def test_mint_without_a_store_beside_a_server(filled):
    """A server takes a token of a session that it never knew: the documentation says so."""
    from user.v1 import user_pb2

    [ada] = lines_of(filled.run("user", "show", "ada", "--json"))
    program = filled.serve()
    key = {"JWT_SECRET": filled.secret}
    for user_id, role, username in ((ada["id"], "ADMIN", "ada"), (ada["id"].replace("-7", "-6"), "USER", None)):
        token = filled.run("token", "mint", "--user-id", user_id, "--role", role, **key).stdout.strip()
        client = Clients(program, token)
        request = user_pb2.GetUserRequest(id="me")
        if username:
            assert client.user.GetUser(request, metadata=client.metadata, timeout=5).user.username == username
        else:
            with pytest.raises(Exception):
                client.user.GetUser(request, metadata=client.metadata, timeout=5)


def test_verify_says_which_rule_is_broken(filled):
    key = {"JWT_SECRET": filled.secret}
    token = filled.run("token", "mint", "--user-id", "01a1fe0e-cc62-7756-a8a0-a03fcbe912f4", "--expires", "1s", **key).stdout
    head, payload, signature = token.strip().split(".")
    broken = f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"
    time.sleep(1.1)
    for text, settings, expected in (
            (token, key, "valid: "), (token, {**key, "JWT_LEEWAY": "0s"}, "not valid: expired "),
            (broken, key, "not valid: the signature"), (token, {**key, "JWT_ISSUER": "x"}, "not valid: iss"),
            (token, {**key, "JWT_AUDIENCE": "x"}, "not valid: aud"),
            (token, {"JWT_SECRET": filled.secret[::-1]}, "not valid: no key")):
        result = filled.run("token", "verify", input=text, check=False, **settings)
        assert result.stdout.startswith(expected), result.stdout
        assert result.returncode == (0 if expected == "valid: " else 1)
    for text in ("", "x", "a.b", "a.b.c", "....", f"{head}.{payload}", token.strip() + "." + signature, "e30.W10.x", "x" * 5000):
        assert filled.run("token", "inspect", input=text, check=False).returncode == 65
        assert filled.run("token", "verify", input=text, check=False, **key).returncode == 1


def test_a_hostile_token_does_not_reach_the_terminal(mote):
    import base64

    payload = base64.urlsafe_b64encode(json.dumps({"sub": "\x1b[2J\u202e", "exp": 10 ** 18}).encode()).decode().rstrip("=")
    result = mote.run("token", "inspect", input=f"e30.{payload}.x")
    assert "\x1b" not in result.stdout and "\\u001b[2J" in result.stdout
