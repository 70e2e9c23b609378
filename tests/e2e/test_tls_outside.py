# SPDX-License-Identifier: Apache-2.0
"""TLS looked at from outside, by programs of others: openssl s_client and testssl.sh, over keys of both kinds."""

import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest
from certificates import Identity, openssl
from conftest import BUILD, RELEASE, Mote, wait_for
from test_tls import Files, is_served, raw_connection, raw_context, serve

SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305",
          "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("certificates"))


def has_tls13():
    """mbedtls 3 has it, 2.28 not."""
    version = subprocess.run([BUILD / "mote", "version"], capture_output=True, text=True, timeout=60, check=True).stdout
    return int(re.search(r"mbedtls (\d+)", version).group(1)) >= 3


HAS_TLS13 = has_tls13()
VERSIONS = ["-tls1_2", "-tls1_3"] if HAS_TLS13 else ["-tls1_2"]  # what the other one is answered stands in test_versions


def s_client(program, *arguments, name="one.example", alpn="h2", input=b"Q\n"):
    """(whether the handshake was completed, all that was said)"""
    command = ["openssl", "s_client", "-connect", program.address, *map(str, arguments)]
    command += ["-servername", name] if name else ["-noservername"]
    command += ["-alpn", alpn] if alpn else []
    result = subprocess.run(command, input=input, capture_output=True, timeout=30, check=False)
    text = (result.stdout + result.stderr).decode(errors="replace")
    return re.search(r"Cipher is (?!\(NONE\))", text) is not None, text


def alerts(text):
    return [int(number) for number in re.findall(r"SSL alert number (\d+)", text)]


def test_versions(mote, files):
    program = serve(mote, files.server, files.rsa)
    for version in ("-tls1", "-tls1_1"):
        done, text = s_client(program, version, "-cipher", "ALL:@SECLEVEL=0")
        assert not done and alerts(text) == [70], text  # protocol_version
    done, text = s_client(program, "-tls1_2")
    assert done and "Protocol  : TLSv1.2" in text
    done, text = s_client(program, "-tls1_3")
    assert done == HAS_TLS13, text
    newest = "TLSv1.3" if HAS_TLS13 else "TLSv1.2"
    assert f"New, {newest}, Cipher is" in s_client(program)[1]
    # Who comes with less than the server has is told that it can do better only by one who does (RFC 8446 §4.1.3),
    # and one that says it came back with less is refused (RFC 7507): there is nothing less to fall back to.
    done, text = s_client(program, "-tls1_2", "-fallback_scsv")
    assert done != HAS_TLS13 or alerts(text) == [86], text


@pytest.mark.parametrize("kind", ["server", "rsa"])
def test_suites(mote, files, kind):
    """The six suites of TLS 1.2, by the kind of the key;
    none of the others that openssl has."""
    program = serve(mote, getattr(files, kind))
    mine = [suite for suite in SUITES if ("ECDSA" in suite) == (kind == "server")]
    listed = subprocess.run(["openssl", "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
                            capture_output=True, check=True, text=True).stdout.strip()
    every = [suite for suite in listed.split(":") if not suite.startswith("TLS_")]
    assert set(mine) < set(every) and len(every) > 40, every
    for suite in mine:
        done, text = s_client(program, "-tls1_2", "-cipher", suite)
        assert done and f"Cipher is {suite}" in text, text
    rest = [suite for suite in every if suite not in mine]
    # All at once; then, of what is taken, the halves.
    taken, queue = [], [rest]
    while queue:
        some = queue.pop()
        done, text = s_client(program, "-tls1_2", "-cipher", ":".join(some) + ":@SECLEVEL=0")
        if done and len(some) == 1:
            taken += some
        elif done:
            queue += [some[:len(some) // 2], some[len(some) // 2:]]
        else:
            assert alerts(text) == [40], text  # handshake_failure
    assert taken == []


def test_curves(mote, files):
    program = serve(mote, files.rsa)  # an EC key has a curve of its own
    for curve in ("P-256", "X25519", "P-384"):
        assert s_client(program, "-curves", curve)[0], curve
    done, text = s_client(program, "-tls1_2", "-curves", "P-521")
    assert not done and alerts(text) == [40], text  # handshake_failure
    assert is_served(program, files)


def test_application_protocol(mote, files):
    """h2, or nothing: no byte of HTTP/2 for who has not agreed to it (RFC 9113 §3.3)."""
    program = serve(mote, files.server)
    for offer in (None, "http/1.1", "h2c", "H2", "h2x", "grpc-exp"):
        _, text = s_client(program, "-quiet", alpn=offer, input=b"")
        assert 120 in alerts(text), (offer, text)  # no_application_protocol
        assert "\x00\x00\x12\x04\x00" not in text and "\x04\x00\x00\x00\x00\x00" not in text
    done, text = s_client(program, alpn="http/1.1,h2")
    assert done and "ALPN protocol: h2" in text


# What is wrong with a client's certificate, as openssl's configuration and arguments say it.
CLIENTS = {
    "good": (True, {}),
    "by an intermediate": (True, {"depth": 1}),
    "by eight intermediates": (True, {"depth": 8}),
    "by nine intermediates": (False, {"depth": 9}),  # the bound of mbedtls
    "of another authority": (False, {"issuer": "stranger"}),
    "by itself": (False, {"issuer": None}),
    "by one that is no authority": (False, {"issuer": "client"}),
    "expired": (False, {"dates": ("20200101000000Z", "20210101000000Z")}),
    "not yet valid": (False, {"dates": ("20400101000000Z", "20410101000000Z")}),
    "for servers only": (False, {"extensions": "extendedKeyUsage=serverAuth"}),
    "for clients": (True, {"extensions": "extendedKeyUsage=clientAuth"}),
    "not for signing": (False, {"extensions": "keyUsage=keyEncipherment"}),
    "with an unknown extension that matters": (False, {"extensions": "1.2.3.4=critical,ASN1:NULL"}),
    "RSA of 4096 bits": (True, {"kind": ["RSA", "-pkeyopt", "rsa_keygen_bits:4096"]}),
    "RSA of 1024 bits": (False, {"kind": ["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]}),
    "signed with SHA-1": (False, {"digest": "sha1"}),
}


def make_client(files, folder, *, issuer="authority", depth=0, dates=None, extensions=None,
                kind=("EC", "-pkeyopt", "ec_paramgen_curve:P-256"), digest="sha256"):
    """Arguments of s_client that show such a certificate."""
    chain = []
    by = getattr(files, issuer) if issuer else None
    for number in range(depth):
        by = Identity(folder, f"intermediate{number}", issuer=by, authority=True)
        chain.insert(0, by.certificate)
    key, certificate = folder / "shown.key", folder / "shown.pem"
    (folder / "extensions").write_text(f"basicConstraints=CA:FALSE\n{extensions or ''}\n")
    openssl("genpkey", "-algorithm", *kind, "-out", key)
    request = openssl("req", "-new", "-key", key, "-subj", "/CN=shown")
    sign = ["ca"] if dates else ["x509"]
    if dates:  # `openssl x509` of 3.0 makes no dates of the past
        (folder / "index").write_text("")
        (folder / "ca.conf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nrand_serial=yes\ndefault_md={digest}\npolicy=p\n"
            f"new_certs_dir={folder}\nunique_subject=no\n[p]\ncommonName=supplied\n")
        (folder / "request").write_bytes(request)
        openssl(*sign, "-batch", "-notext", "-config", folder / "ca.conf", "-cert", by.certificate, "-keyfile", by.key,
                "-in", folder / "request", "-out", certificate, "-startdate", dates[0], "-enddate", dates[1],
                "-extfile", folder / "extensions")
    else:
        signer = ["-CA", by.certificate, "-CAkey", by.key, "-CAcreateserial"] if by else ["-signkey", key]
        certificate.write_bytes(openssl(*sign, "-req", *signer, f"-{digest}", "-days", "30", "-extfile",
                                        folder / "extensions", input=request))
    (folder / "chain.pem").write_bytes(b"".join(each.read_bytes() for each in chain))
    shown = ["-cert", certificate, "-key", key]
    return shown + (["-cert_chain", folder / "chain.pem"] if chain else [])


def is_let_in(program, arguments, version):
    """HTTP/2 begins, and is not ended by an alert."""
    command = ["openssl", "s_client", "-connect", program.address, "-alpn", "h2", "-quiet", version, "-cipher",
               "DEFAULT:@SECLEVEL=0", *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        try:
            process.stdin.flush()
            begun = process.stdout.read(9)
        except BrokenPipeError:
            begun = b""
        process.kill()
    return begun[3:4] == b"\x04"


@pytest.mark.parametrize("choice", ["required", "optional"])
def test_certificates_of_clients(mote, files, tmp_path, choice):
    """Good ones are let in and known by name; of bad ones none, also where none would do."""
    program = serve(mote, files.server, TLS_CLIENT_CA_FILE=str(files.authority.certificate), TLS_CLIENT_AUTH=choice)
    versions = ["-tls1_2"] + (["-tls1_3"] if HAS_TLS13 else [])
    for name, (good, wish) in CLIENTS.items():
        folder = tmp_path / name
        folder.mkdir()
        shown = make_client(files, folder, **wish)
        for version in versions:
            assert is_let_in(program, shown, version) == good, (name, version)
    for version in versions:
        assert is_let_in(program, [], version) == (choice == "optional")


def test_server_names(mote, files):
    """Known and unknown ones, none, one that is an address, and the longest there is."""
    program = serve(mote, files.server, files.other)
    for name, subject in (("one.example", "server"), ("two.example", "other"), ("TWO.example", "other"),
                          ("three.example", "server"), (None, "server"), ("127.0.0.1", "server"),
                          ("x" * 63 + "." + "y" * 63 + "." + "z" * 63 + "." + "w" * 63, "server")):
        done, text = s_client(program, name=name)
        assert done and re.search(rf"subject=CN ?= ?{subject}\b", text), (name, text)


def get_session(program, version, session):
    """Into this file. The ticket of 1.3 comes behind the handshake, so the client stays a moment."""
    with subprocess.Popen(["openssl", "s_client", "-connect", program.address, "-alpn", "h2", version, "-sess_out",
                           session], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as first:
        time.sleep(1)
        first.communicate(b"Q\n", timeout=20)
    assert session.exists()


@pytest.mark.parametrize("version", VERSIONS)
def test_resumption(mote, files, tmp_path, version):
    """By a ticket; not by the id of a session; and not past a reload, which makes new ticket keys."""
    live = Identity(tmp_path, "live", issuer=files.authority, names=["one.example"])
    program = serve(mote, live)
    session = tmp_path / "session"

    def come_back():
        return "Reused, TLS" in s_client(program, version, "-sess_in", session)[1]

    get_session(program, version, session)
    assert come_back()
    without = tmp_path / "without"
    s_client(program, "-tls1_2", "-no_ticket", "-sess_out", without)
    assert not without.exists() or "Reused, TLS" not in s_client(program, "-tls1_2", "-sess_in", without)[1]
    fresh = Identity(tmp_path, "fresh", issuer=files.authority, names=["one.example"])
    shutil.move(fresh.key, live.key)
    shutil.move(fresh.certificate, live.certificate)
    wait_for(lambda: program.events("tls.reloaded"), what="the new certificate")
    assert not come_back()
    assert is_served(program, files)


@pytest.mark.parametrize("version", VERSIONS)
def test_old_tickets(files, tmp_path, version):
    """Twelve hours after it was given, a ticket is worth nothing. The server's clock is moved, not ours."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("faketime is not installed")
    mote = Mote(tmp_path, RELEASE)  # a sanitizer wants to be the first library
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    program = serve(mote, files.server, LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(clock),
                    FAKETIME_NO_CACHE="1", DONT_FAKE_MONOTONIC="1", FAKETIME_DONT_FAKE_MONOTONIC="1",
                    NO_FAKE_STAT="1")  # or all files seem to be new
    session = tmp_path / "session"
    try:
        get_session(program, version, session)
        # mbedtls 3.6 takes a ticket's age by the monotonic clock, which is left alone here: there it is the second
        # change of keys that ends it.
        at_13 = None if HAS_TLS13 else False
        for hours, expected in ((0, True), (6, True), (11, True), (13, at_13), (26, False)):
            (tmp_path / "next").write_text(f"+{hours}h\n")
            os.replace(tmp_path / "next", clock)  # the library ends the process over a file that is half written
            reused = "Reused, TLS" in s_client(program, version, "-sess_in", session)[1]
            assert expected in (None, reused), hours
        get_session(program, version, session)  # by a key that is young again
        assert "Reused, TLS" in s_client(program, version, "-sess_in", session)[1]
    finally:
        assert program.stop() == 0


def test_renegotiation(mote, files):
    """Refused (RFC 9113 §9.2.1); who asks for it on and on is sent away, and costs nothing."""
    program = serve(mote, files.server)
    for _ in range(3):
        done, text = s_client(program, "-tls1_2", input=b"R\n" * 50)
        assert done and re.search("no renegotiation|unexpected eof|SSL alert number 100|renegotiation", text, re.I)
    done, text = s_client(program, "-tls1_2", "-legacy_renegotiation", input=b"R\nQ\n")
    assert "RENEGOTIATING" in text and is_served(program, files)


@pytest.mark.parametrize("asked", [b"K\n", b"k\n"])
def test_key_update(mote, files, asked):
    """TLS 1.3 lets a client change its keys. mbedtls 3.6 does not know that: the connection ends, cleanly."""
    program = serve(mote, files.server)
    done, text = s_client(program, "-tls1_3", input=asked + b"Q\n")
    assert done == HAS_TLS13  # mbedtls 2.28 refuses the handshake
    assert "KEYUPDATE" in text or not done
    assert is_served(program, files)


def hello_of(files):
    """A ClientHello, as one record."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = raw_context(files).wrap_bio(incoming, outgoing, server_hostname="one.example")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def answer_to(program, *pieces):
    host, port = program.address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.002)
        try:
            return connection.recv(5)
        except ConnectionResetError:
            return b""


def test_hello_in_pieces(mote, files):
    """Segments of TCP may end anywhere. A ClientHello over several records is taken where mbedtls can (3.6.4), and is
    answered by an alert where it cannot."""
    program = serve(mote, files.server)
    hello = hello_of(files)
    cuts = [*range(60), *range(60, len(hello), 19), len(hello)]
    assert answer_to(program, *(hello[a:b] for a, b in zip(cuts, cuts[1:])))[:1] == b"\x16"
    body = hello[5:]
    records = [b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part for part in (body[:50], body[50:])]
    assert answer_to(program, *records)[:1] in (b"\x16", b"\x15")
    assert is_served(program, files)


def test_records_of_one_byte(mote, files):
    """A call in the smallest records there are: dear for both, and answered."""
    program = serve(mote, files.server)
    path, ok = b"/grpc.health.v1.Health/Check", b"\x08\x01"
    fields = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in (
        (b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"one.example"), (b":path", path),
        (b"content-type", b"application/grpc"), (b"te", b"trailers")))
    call = (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0" + len(fields).to_bytes(3, "big") +
            b"\1\4\0\0\0\1" + fields + b"\0\0\5\0\1\0\0\0\1" + b"\0" * 5)
    with raw_connection(program, raw_context(files)) as connection:
        for byte in call:
            connection.sendall(bytes([byte]))
        received = b""
        connection.settimeout(10)
        while b"grpc-status" not in received and b"\0\0\0\0\2" + ok not in received:
            received += connection.recv(65536)


def test_garbage(mote, files):
    """Not TLS at all, or TLS that is broken: an alert or nothing, and the others go on."""
    program = serve(mote, files.server)
    hello = hello_of(files)
    for bytes_ in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 70000, b"\x80\x2e\x01\x03\x01" + b"\0" * 60,
                   b"\x17\x03\x03\x00\x01x", b"\x15\x03\x03\x00\x02\x02\x28", b"\x16\x03\x01\x00\x00" * 10,
                   hello[:9] + b"\xff" * (len(hello) - 9), b"\0" * 1000):
        assert answer_to(program, bytes_)[:1] in (b"", b"\x15"), bytes_[:10]
    assert is_served(program, files)


def test_end_without_goodbye(mote, files):
    """A connection that ends without close_notify, by either end of TCP, is over; the others go on."""
    program = serve(mote, files.server)
    for _ in range(20):
        os.close(raw_connection(program, raw_context(files)).detach())
        connection = raw_connection(program, raw_context(files))
        connection.shutdown(socket.SHUT_WR)  # of the socket: no close_notify
        connection.close()
    assert is_served(program, files)
    assert program.stop() == 0


# What testssl finds fault with though it is as it should be.
EXCEPTIONS = {
    "engine_problem": "of the openssl that it uses",
    "service": "it asks for HTTP/1.1",
    "cert_trust": "it asks by address, and the certificate is for a name",
    "cert_chain_of_trust": "the authority is the test's own",
    "cert_expirationStatus": "the certificates live 30 days",
    "cert_notAfter": "the certificates live 30 days",
    "cert_revocation": "the authority has no list of revoked ones",
    "cert_extlifeSpan": "the certificates live 30 days",
    "DNS_CAArecord": "the name is in no DNS",
    "scanProblem": "of its own",
    "clientAuth": "none is asked for",
}


def test_testssl(mote, files, tmp_path, record_property):
    program_path = shutil.which("testssl") or shutil.which("testssl.sh")
    if program_path is None:
        pytest.skip("testssl.sh is not installed")
    program = serve(mote, files.server, files.rsa)
    report = tmp_path / "report.json"
    subprocess.run([program_path, "--quiet", "--warnings", "off", "--color", "0", "--jsonfile", report, "-p", "-s", "-P",
                    "-f", "-U", "-S", program.address], stdin=subprocess.DEVNULL, capture_output=True, timeout=400,
                   check=False)
    findings = [{**found, "id": found["id"].split()[0]} for found in json.loads(report.read_text())]
    faults = [found for found in findings if found["severity"] not in ("OK", "INFO") and found["id"] not in EXCEPTIONS]
    excused = sum(found["severity"] not in ("OK", "INFO") for found in findings) - len(faults)
    record_property("testssl", f"{len(findings)} findings, {len(faults)} faults, {excused} excused")
    assert faults == []
    by_id = {found["id"]: found["finding"] for found in findings}
    assert len(by_id) > 60
    for name, expected in (("SSLv2", "not offered"), ("SSLv3", "not offered"), ("TLS1", "not offered"),
                           ("TLS1_1", "not offered"), ("TLS1_2", "offered"), ("ALPN_HTTP2", "h2"),
                           ("cipherlist_NULL", "not offered"), ("cipherlist_aNULL", "not offered"),
                           ("cipherlist_EXPORT", "not offered"), ("cipherlist_LOW", "not offered"),
                           ("cipherlist_3DES_IDEA", "not offered"), ("secure_renego", "supported"),
                           ("secure_client_renego", "not vulnerable"), ("sessionresumption_ticket", "supported"),
                           ("sessionresumption_ID", "not supported"), ("heartbleed", "not vulnerable"),
                           ("CCS", "not vulnerable"), ("CRIME_TLS", "not vulnerable")):
        assert by_id[name].startswith(expected), (name, by_id[name])
    assert by_id["TLS1_3"].startswith("offered") == HAS_TLS13
    assert is_served(program, files)
