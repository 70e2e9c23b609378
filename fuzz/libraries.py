# SPDX-License-Identifier: Apache-2.0
"""Builds nghttp2 and nanopb from the distribution's source packages, instrumented: against a packaged library a fuzzer
sees nothing of what its input does there.

The sources have the version of the installed packages, with the distribution's patches. They are fetched through a view
of apt of its own: its lists of packages and its sources lie under build/fuzz, and nothing in /etc or /var changes. The
addresses are those that this machine already uses, asked for source packages. Works as any user.
"""

import hashlib
import pathlib
import re
import shutil
import subprocess

FLAGS = "-g -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"


class Failed(Exception):
    """A step without which there is nothing to fuzz."""


def run(command, log, cwd=None):
    """Runs a quiet step; its output is shown only when it fails."""
    with open(log, "w", encoding="utf-8") as out:
        result = subprocess.run(list(map(str, command)), stdout=out, stderr=subprocess.STDOUT, cwd=cwd, check=False)
    if result.returncode != 0:
        text = pathlib.Path(log).read_text(encoding="utf-8", errors="replace")
        raise Failed(f"{' '.join(map(str, command))} failed:\n{text[-4000:]}")


def output(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failed(f"{' '.join(command)} failed: {result.stderr.strip()}")
    return result.stdout


def source_list(text):
    """One-line format (sources.list(5)): `deb` lines become `deb-src`; discs, which are asked for, are left out."""
    rests = re.findall(r"^[ \t]*deb(?:-src)?[ \t]+(.*)$", text, re.M)
    return "".join(f"deb-src {rest}\n" for rest in rests if "cdrom:" not in rest)


def source_stanzas(text):
    """deb822 format: every stanza's types become deb-src."""
    text = re.sub(r"^#.*\n?", "", text, flags=re.M)
    return re.sub(r"^(types[ \t]*:).*(?:\n[ \t].*)*", r"\1 deb-src", text, flags=re.M | re.I)


def apt_view(folder):
    """Makes the private view; returns apt-get's first arguments."""
    sources = folder / "sources"
    shutil.rmtree(sources, ignore_errors=True)
    for path in (sources, folder / "lists/partial", folder / "cache/archives/partial"):
        path.mkdir(parents=True, exist_ok=True)
    main, parts = (output("apt-config", "shell", "X", name).strip()[3:-1]
                   for name in ("Dir::Etc::sourcelist/f", "Dir::Etc::sourceparts/d"))
    files = [pathlib.Path(main)] + sorted(pathlib.Path(parts).glob("*"))
    for number, file in enumerate(file for file in files if file.is_file()):
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".list":
            (sources / f"{number}.list").write_text(source_list(text), encoding="utf-8")
        elif file.suffix == ".sources":
            (sources / f"{number}.sources").write_text(source_stanzas(text), encoding="utf-8")
    conf = folder / "apt.conf"
    conf.write_text(f"""\
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{sources}";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
Acquire::Languages "none";
APT::Sandbox::User "root";
#clear APT::Update;
""", encoding="utf-8")
    return ["apt-get", "-c", conf]


def fetch(packages, folder):
    """Unpacks the source packages [(name, version)] below `folder`; returns {name: its folder}."""
    apt = apt_view(folder / "apt")
    update = folder / "apt-update.log"
    try:
        run([*apt, "update"], update)
    except Failed:
        pass  # one of the machine's sources may have no source packages, or be away; what counts is the next step
    folders = {}
    for name, version in packages:
        unpacked = folder / "source" / name
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True)
        log = folder / f"{name}-source.log"
        source = [*apt, "source", "--only-source", f"{name}={version}"]
        try:
            run(source, log, cwd=unpacked)
        except Failed as error:
            try:
                unpack_upstream(source, log, unpacked)
            except Failed:
                said = update.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise Failed(f"{error}\n{said}\nThe source package {name} {version} could not be had. If the archive has "
                             "a newer version: apt-get update, apt-get upgrade.") from error
            print(f"  {name}: the archive lacks the distribution's part of the source; upstream's alone is used", flush=True)
        folders[name] = next(path for path in unpacked.iterdir() if path.is_dir())
    return folders


def unpack_upstream(source, log, unpacked):
    """Some mirrors lack files of a source package, but the one that matters most is there."""
    run([*source, "--tar-only"], log, cwd=unpacked)
    (unpacked / "upstream").mkdir()
    for archive in unpacked.glob("*.orig.tar.*"):
        run(["tar", "-xf", archive, "-C", unpacked / "upstream", "--strip-components=1"], log)


def build_nghttp2(source, prefix, log):
    build = source.parent / "build"
    run(["cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++",
         "-DCMAKE_BUILD_TYPE=None", f"-DCMAKE_C_FLAGS={FLAGS}", f"-DCMAKE_INSTALL_PREFIX={prefix}",
         "-DCMAKE_INSTALL_LIBDIR=lib", "-DENABLE_LIB_ONLY=ON", "-DENABLE_DOC=OFF",
         # The first pair was renamed to the second after 1.52.
         "-DENABLE_SHARED_LIB=OFF", "-DENABLE_STATIC_LIB=ON", "-DBUILD_SHARED_LIBS=OFF", "-DBUILD_STATIC_LIBS=ON",
         "-DBUILD_TESTING=OFF"], log)
    run(["cmake", "--build", build, "--target", "install"], log)


def build_nanopb(source, prefix, log):
    objects = []
    for name in ("pb_common", "pb_encode", "pb_decode"):
        objects.append(source / f"{name}.o")
        run(["clang", *FLAGS.split(), "-c", source / f"{name}.c", "-o", objects[-1]], log)
    (prefix / "lib").mkdir(parents=True, exist_ok=True)
    (prefix / "include").mkdir(exist_ok=True)
    library = prefix / "lib/libprotobuf-nanopb.a"
    library.unlink(missing_ok=True)
    run(["ar", "rcs", library, *objects], log)
    for name in ("pb.h", "pb_common.h", "pb_encode.h", "pb_decode.h"):
        shutil.copy(source / name, prefix / "include")


# package with the headers: (its library here, how it is built)
LIBRARIES = {
    "libnghttp2-dev": ("libnghttp2.a", build_nghttp2),
    "libnanopb-dev": ("libprotobuf-nanopb.a", build_nanopb),
}


def build(prefix):
    """Leaves the libraries below `prefix`, building those that are not there in the installed packages' version."""
    compiler = output("clang", "--version").split("\n", maxsplit=1)[0]
    recipe = hashlib.sha256(pathlib.Path(__file__).read_bytes() + compiler.encode()).hexdigest()
    missing = {}
    for package in LIBRARIES:
        name, version = output("dpkg-query", "-W", "-f", "${source:Package} ${source:Version}", package).split()
        stamp = prefix / f"{name}.stamp"
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != f"{version} {recipe}\n":
            missing[package] = (name, version)
    if not missing:
        return
    prefix.mkdir(parents=True, exist_ok=True)
    print("  fetching sources: " + ", ".join(" ".join(source) for source in missing.values()), flush=True)
    folders = fetch(missing.values(), prefix)
    for package, (name, version) in missing.items():
        library, builder = LIBRARIES[package]
        print(f"  building {name}, instrumented …", flush=True)
        builder(folders[name], prefix, prefix / f"{name}-build.log")
        if "__sanitizer_cov" not in output("nm", "-A", str(prefix / "lib" / library)):
            raise Failed(f"{library} was built without instrumentation")
        (prefix / f"{name}.stamp").write_text(f"{version} {recipe}\n", encoding="utf-8")
