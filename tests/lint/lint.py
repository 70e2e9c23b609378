#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules about the source that a compiler does not check. Prints each breach as file:line: text; exit 1 if any.

Layers (include lines and linked libraries), size of files and functions, left-overs, licence lines, formatting.
`lint.py --self-test` proves on planted breaches that each rule can fail.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# folder: (layers it may include besides itself, third-party header prefixes it may include)
LAYERS = {
    "base": ([], []),
    "wire": (["base"], ["nghttp2/", "zlib.h"]),
    "codec": (["base"], ["pb.h", "pb_encode.h", "pb_decode.h", "pb_common.h"]),
    "security": (["base"], ["mbedtls/", "psa/", "argon2.h", "jansson.h"]),
    "telemetry": (["base", "codec"], []),
    "store": (["base"], ["sqlite3.h", "libpq-fe.h"]),
    "rpc": (["base", "wire", "codec", "telemetry", "security/jwt.h"], []),
    "services": (["base", "codec", "rpc", "store/store.h", "security"], []),
    "net": (["base", "wire", "security", "telemetry", "rpc"], ["uv.h"]),
    "app": (["base", "wire", "codec", "security", "telemetry", "store", "rpc", "services", "net"], []),
}
THIRD_PARTY = re.compile(r"^(uv\.h|uv/|nghttp2/|zlib\.h|pb(_\w+)?\.h|mbedtls/|psa/|argon2\.h|jansson\.h|sqlite3\.h|libpq)")
GENERATED = re.compile(r"\.(pb|mote)\.h$")
# Who may include generated code: the layers that serve it.
GENERATED_IN = {"rpc", "services", "app"}

SOURCE_MAX = 800
HEADER_MAX = 250
FUNCTION_MAX = 80


def sources(root):
    for folder in ("src", "fuzz", "tests"):
        for suffix in ("*.c", "*.h"):
            yield from sorted((root / folder).rglob(suffix))


def check_layers(root, path, lines, report):
    parts = path.relative_to(root).parts
    if parts[0] == "fuzz" or parts[:2] == ("tests", "unit"):
        for number, line in enumerate(lines, 1):
            match = re.match(r'\s*#\s*include\s*[<"]((?:net|app)/[^>"]+|uv\.h)[>"]', line)
            if match and parts[-1] not in UNIT_TESTS_OF_UPPER_LAYERS:
                report(path, number, f"{parts[0]} must not use {match.group(1)}: no sockets here")
        return
    if parts[0] != "src":
        return
    layer = parts[1]
    if layer not in LAYERS:
        report(path, 1, f"folder src/{layer} is not in the table of layers")
        return
    allowed, libraries = LAYERS[layer]
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s*[<"]([^>"]+)[>"]', line)
        if not match:
            continue
        name = match.group(1).removeprefix("../")
        if THIRD_PARTY.match(name):
            if not any(name.startswith(prefix) for prefix in libraries):
                report(path, number, f"src/{layer} must not include {name}")
        elif GENERATED.search(name):
            if layer not in GENERATED_IN:
                report(path, number, f"src/{layer} must not include generated code ({name})")
        elif "/" in name and name.split("/")[0] in LAYERS:
            other = name.split("/")[0]
            if other != layer and other not in allowed and name not in allowed:
                report(path, number, f"src/{layer} must not include {match.group(1)}")


# Modules of net and app that are plain functions are tested like any other.
UNIT_TESTS_OF_UPPER_LAYERS = {"test_access_log.c", "test_admin_site.c", "test_trace_export.c", "test_trace_settings.c", "test_address.c", "test_cgroup.c",
                              "test_command.c", "test_effective.c", "test_exit_code.c",
                              "test_import_line.c", "test_json_out.c", "test_listen_address.c",
                              "test_log_line.c", "test_log_sink.c", "test_loop.c", "test_option_value.c",
                              "test_options.c", "test_peers.c", "test_progress.c", "test_table.c"}


def check_size(path, lines, report):
    limit = HEADER_MAX if path.suffix == ".h" else SOURCE_MAX
    if len(lines) > limit:
        report(path, limit + 1, f"{len(lines)} lines; at most {limit}")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line.startswith("}") and start is not None:
            # Tables (initialisers end with "};") have no bound.
            if not line.startswith("};") and number - start - 1 > FUNCTION_MAX:
                report(path, start, f"a function of {number - start - 1} lines; at most {FUNCTION_MAX}")
            start = None


def check_words(path, lines, report):
    if not lines or "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:2]):
        report(path, 1, "no SPDX licence line")
    for number, line in enumerate(lines, 1):
        if re.search(r"\b(TODO|FIXME|XXX)\b(?!\([^)]+\): \S)", line):
            report(path, number, "a TODO without a reason: write TODO(why): what")
        if line != line.rstrip():
            report(path, number, "white space at the end of the line")
        if "\t" in line and path.suffix in (".c", ".h"):
            report(path, number, "a tab")


# They stop at the first difference.
EARLY_COMPARISONS = r"memcmp|bcmp|memmem|(strn?|strn?case|strcase)cmp|strstr|mote_slice_equals(_text|_ignore_case)?"


def check_secrets(root, path, lines, report):
    """Comparisons of secrets are constant-time: src/security has no memcmp and no strcmp but where it says why."""
    if path.relative_to(root).parts[:2] != ("src", "security"):
        return
    for number, line in enumerate(lines, 1):
        if re.search(rf"\b({EARLY_COMPARISONS})\s*\(", line) and "public:" not in "".join(lines[number - 1:number + 1]):
            report(path, number, 'memcmp or strcmp in src/security; use mote_secret_equals, or say "public: …" why not')


def check_terminate(root, path, lines, report):
    """nghttp2 aborts on the next bad frame when a session is terminated inside a callback: one place only."""
    if path.relative_to(root).parts[0] != "src":
        return
    count = sum("nghttp2_session_terminate_session" in line for line in lines if not line.lstrip().startswith("*"))
    if count > 1 or (count == 1 and path.name != "h2.c"):
        report(path, 1, "nghttp2_session_terminate_session stands in one function of src/wire/h2.c only")


def public_headers(root):
    """What the layers' CMakeLists.txt list as PUBLIC: "rpc/call.h"."""
    for path in sorted((root / "src").glob("*/CMakeLists.txt")):
        match = re.search(r"^\s*PUBLIC ([^A-Z)]+)", path.read_text(encoding="utf-8"), re.M)
        for name in match.group(1).split() if match else []:
            yield f"{path.parent.name}/{name}"


def check_public(root, report):
    """A public header names others of its kind only, and as seen from itself: so it can be installed anywhere."""
    public = set(public_headers(root))
    for name in sorted(public):
        path = root / "src" / name
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            if match and os.path.normpath(os.path.join(os.path.dirname(name), match.group(1))) not in public:
                report(path, number, f"a public header, and {match.group(1)} is none as seen from here: ../<layer>/<name>.h")


SQL_CALL = re.compile(r"(?:sqlite3_prepare\w*|sqlite3_exec|mote_sqlite_query_int)\(\s*[^,;]+?,\s*([^;]*)")
SQL_WORD = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|FROM|WHERE|VALUES|SET|PRAGMA)\b")


def check_sql(root, path, lines, report):
    """SQL is fixed text: what is prepared is a literal or of a table of them, and nothing of a value becomes part of it."""
    if path.relative_to(root).parts[:2] != ("src", "store"):
        return
    for number, line in enumerate(lines, 1):
        for literal in re.findall(r'"(?:[^"\\]|\\.)*"', line):
            if SQL_WORD.search(literal) and re.search(r"%[-+ #0-9.*]*(?:[hlzjt]*[^d%hlzjt\s]|$)", literal):
                report(path, number, "a value becomes part of SQL: bind it to a parameter")
        call = SQL_CALL.search(line + "".join(lines[number:number + 2]))
        if call and call.start() <= len(line) and not line.startswith(("int ", "MOTE_MUST_CHECK")):
            if not re.match(r'"|mote_statement_text\(|steps\[', call.group(1).lstrip()) and "fixed:" not in line:
                report(path, number, 'SQL that is no literal; use statement.c, or say "fixed: …" what it is')


def lint(root, clang_format):
    problems = []

    def report(path, number, text):
        problems.append(f"{path.relative_to(root)}:{number}: {text}")

    files = list(sources(root))
    for path in files:
        lines = path.read_text(encoding="utf-8").split("\n")
        if lines and lines[-1] == "":
            lines.pop()
        check_layers(root, path, lines, report)
        check_size(path, lines, report)
        check_words(path, lines, report)
        check_secrets(root, path, lines, report)
        check_terminate(root, path, lines, report)
        check_sql(root, path, lines, report)
    check_public(root, report)
    if clang_format and files:
        result = subprocess.run([clang_format, "--dry-run", "--style=file", *map(str, files)],
                                capture_output=True, text=True, cwd=root, check=False)
        seen = set()
        for match in re.finditer(r"^(\S+?):(\d+):\d+: (?:warning|error): code should be clang-formatted", result.stderr, re.M):
            if match.group(1) not in seen:
                seen.add(match.group(1))
                report(pathlib.Path(match.group(1)).resolve(), match.group(2), "not formatted: run make format")
    return problems, len(files)


PLANTED = [
    ("src/wire/a.c", '#include "rpc/call.h"\n', "must not include rpc/call.h"),
    ("src/rpc/b.c", "#include <uv.h>\n", "must not include uv.h"),
    ("src/app/b.c", "#include <uv.h>\n", "must not include uv.h"),
    ("src/store/c.c", '#include "user/v1/user.pb.h"\n', "generated code"),
    ("fuzz/d.c", "#include <uv.h>\n", "no sockets here"),
    ("src/base/e.c", "void f(void)\n{\n" + "    g();\n" * 81 + "}\n", "a function of 81 lines"),
    ("src/base/f.c", "int a;\n" * 801, "lines; at most 800"),
    ("src/base/g.h", "int a;\n" * 251, "lines; at most 250"),
    ("src/base/h.c", "/* TO" "DO: later */\n", "TODO without a reason"),
    ("src/base/i.c", "int a; \n", "white space at the end"),
    ("src/security/j.c", "int a = memcmp(b, c, 1);\n", "memcmp or strcmp"),
    ("src/wire/l.h", '#include "../rpc/call.h"\n', "must not include ../rpc/call.h"),
    ("src/codec/codec.h", '#include "base/slice.h"\n', "a public header"),
    ("src/security/l.c", "bool b = mote_slice_equals(c, d);\n", "memcmp or strcmp"),
    ("src/store/m.c", "sqlite3_prepare_v2(db, sql, -1, &out, NULL);\n", "SQL that is no literal"),
    ("src/store/n.c", "sqlite3_exec(db,\n    text, NULL, NULL, NULL);\n", "SQL that is no literal"),
    ("src/store/o.c", "snprintf(text, 9, \"SELECT %s\", name);\n", "becomes part of SQL"),
    ("src/store/p.c", "snprintf(text, 9, \"UPDATE users SET a = '%.*s'\", 3, name);\n", "becomes part of SQL"),
    ("src/wire/k.c", "nghttp2_session_terminate_session(s, 0);\n", "terminate_session stands in one"),
]


def self_test():
    failed = 0
    for name, text, expected in PLANTED:
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text("/* SPDX-License-Identifier: Apache-2.0 */\n" + text, encoding="utf-8")
            (root / "src/codec").mkdir(parents=True, exist_ok=True)
            (root / "src/codec/CMakeLists.txt").write_text("mote_layer(codec\n  PUBLIC codec.h\n  SOURCES a.c)\n",
                                                           encoding="utf-8")
            if not (root / "src/codec/codec.h").exists():
                (root / "src/codec/codec.h").touch()
            problems, _ = lint(root, None)
            if not any(expected in problem for problem in problems):
                failed += 1
                print(f"self-test: {name}: a planted breach was not found ({expected}): {problems}")
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "src/base").mkdir(parents=True)
        (root / "src/base/clean.c").write_text("/* SPDX-License-Identifier: Apache-2.0 */\nint a;\n", encoding="utf-8")
        problems, _ = lint(root, None)
        if problems:
            failed += 1
            print(f"self-test: a clean file was reported: {problems}")
    print(f"lint self-test: {len(PLANTED) + 1 - failed} of {len(PLANTED) + 1} hold")
    return 1 if failed else 0


def main():
    if "--self-test" in sys.argv:
        return self_test()
    clang_format = next((arg.split("=", 1)[1] for arg in sys.argv if arg.startswith("--clang-format=")), None)
    problems, count = lint(ROOT, clang_format)
    for problem in problems:
        print(problem)
    print(f"lint: {count} files, {len(problems)} problems" + ("" if clang_format else " (formatting not checked)"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
