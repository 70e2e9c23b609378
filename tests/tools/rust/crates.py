#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds gRPC's interop client by tonic with exactly the packages of packages.csv, whose hashes Cargo checks.

Cargo.lock would name a registry; which one that is, this machine's Cargo knows. So the lock is made here, of that table.
After a change of Cargo.toml: `tests/tools/rust/crates.py` writes the table anew, with the newest versions that fit.
"""

import csv
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(__file__).resolve().parent
TABLE = SOURCE / "packages.csv"
PROTO = SOURCE.parents[1] / "servers/interop.proto"
NAME = "interop-client-rust"
RUST_MIN = 85  # 1.85: rust-version in Cargo.toml
PACKAGE = re.compile(r'\[\[package\]\]\nname = "([^"]+)"\nversion = "([^"]+)"\nsource = "([^"]+)"\nchecksum = "([^"]+)"\n')


class Failed(Exception):
    """What Cargo said."""


def cargo(folder, *arguments):
    result = subprocess.run(["cargo", "--quiet", *arguments], cwd=folder, capture_output=True, text=True, check=False,
                            env={**os.environ, "INTEROP_PROTO": str(PROTO)})
    if result.returncode != 0:
        raise Failed(f"cargo {' '.join(arguments)} failed:\n{result.stderr[-6000:]}")


def too_old():
    """Why the machine's Rust cannot build it; None: it can."""
    if shutil.which("cargo") is None:
        return "no Rust on this machine"
    version = subprocess.run(["cargo", "--version"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"cargo 1\.(\d+)", version)
    if not match or int(match.group(1)) < RUST_MIN:
        return f"Rust is {version.strip() or 'unknown'}; tonic needs 1.{RUST_MIN}"
    return None


def packages(folder):
    """(name, version, SHA-256) of what Cargo.lock has, and the registry that they come from."""
    found = PACKAGE.findall((folder / "Cargo.lock").read_text(encoding="utf-8"))
    return [(name, version, hash) for name, version, _, hash in found], found[0][2]


def read_table():
    with open(TABLE, encoding="utf-8", newline="") as file:
        return [tuple(row) for row in csv.reader(file)][1:]


def lock(folder):
    """Leaves a Cargo.lock with the table's packages, no others."""
    wanted = read_table()
    cargo(folder, "generate-lockfile")
    _, registry = packages(folder)
    text = "version = 4\n"
    for name, version, hash in wanted:
        text += f'\n[[package]]\nname = "{name}"\nversion = "{version}"\nsource = "{registry}"\nchecksum = "{hash}"\n'
    (folder / "Cargo.lock").write_text(text, encoding="utf-8")
    cargo(folder, "fetch")  # adds who needs what
    others = set(packages(folder)[0]) ^ set(wanted)
    if others:
        raise Failed(f"packages.csv and Cargo.toml do not fit together: {sorted(others)[:4]}")


def build(program, folder):
    """Leaves the client at `program`; `folder` is for what is needed to make it. Raises Failed."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(SOURCE, folder)
    lock(folder)
    cargo(folder, "build", "--locked")
    shutil.copy(folder / "target/debug" / NAME, program)
    shutil.rmtree(folder)


def main():
    with tempfile.TemporaryDirectory() as made:
        folder = pathlib.Path(made) / "rust"
        shutil.copytree(SOURCE, folder)
        cargo(folder, "generate-lockfile")
        rows, _ = packages(folder)
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("name", "version", "sha256"), *rows])
    print(f"{TABLE}: {len(rows)} packages")


if __name__ == "__main__":
    sys.exit(main())
