"""Packages of Debian, downloaded with apt-get and unpacked below build-reference/, once. Nothing is installed."""

import fcntl
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build-reference"
LIBRARIES = {
    "libspf2.so.2": "libspf2-2", "libmariadb.so.3": "libmariadb3", "libidn.so.12": "libidn12",
    "libnsl.so.2": "libnsl2", "libtirpc.so.3": "libtirpc3", "libdb-5.3.so": "libdb5.3", "libpq.so.5": "libpq5",
    "libldap-2.5.so.0": "libldap-2.5-0", "liblber-2.5.so.0": "libldap-2.5-0", "libsasl2.so.2": "libsasl2-2",
    "libsqlite3.so.0": "libsqlite3-0", "libperl.so.5.36": "libperl5.36", "libunbound.so.8": "libunbound8",
    "libgnutls.so.30": "libgnutls30", "libgnutls-dane.so.0": "libgnutls-dane0", "libpam.so.0": "libpam0g",
    "libevent-2.1.so.7": "libevent-2.1-7", "libidn2.so.0": "libidn2-0", "libicuuc.so.72": "libicu72",
    "libicui18n.so.72": "libicu72", "libicudata.so.72": "libicu72", "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
}


class Unavailable(Exception):
    """The archive cannot be reached, or this is no Debian."""


def _fetch(root, packages):
    work = FOLDER / "download"
    work.mkdir(exist_ok=True)
    got = subprocess.run(["apt-get", "-q", "download", *packages], cwd=work, capture_output=True, text=True)
    for package in packages:
        files = list(work.glob(f"{package}_*.deb"))
        if got.returncode != 0 or not files:
            raise Unavailable("Debian's archive cannot be reached: apt-get download failed")
        subprocess.run(["dpkg-deb", "-x", files[0], root], check=True)


def library_path(root):
    """Where the libraries in this folder are, for LD_LIBRARY_PATH."""
    lib = root / "usr" / "lib"
    return ":".join(map(str, [lib, *lib.glob("*-linux-gnu*"), *lib.glob("postfix")]))


def _missing_libraries(root, program):
    p = subprocess.run(["ldd", root / program], capture_output=True, text=True,
                       env={**os.environ, "LD_LIBRARY_PATH": library_path(root)})
    return {line.split()[0] for line in p.stdout.splitlines() if "not found" in line}


@contextmanager
def _locked():
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def unpack(name, packages, program):
    """The folder build-reference/<name> with these packages, and with the libraries that `program` in them wants."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Unavailable("no apt-get here")
    root, complete = FOLDER / name, FOLDER / (name + ".complete")
    with _locked():
        if complete.exists():
            return root
        _fetch(root, packages)
        (root / program).chmod(0o755)  # the loader ignores LD_PRELOAD for set-uid programs
        for _ in range(3):  # a library may want another
            wanted = {LIBRARIES[x] for x in _missing_libraries(root, program) if x in LIBRARIES}
            if wanted:
                _fetch(root, sorted(wanted))
        FOLDER.chmod(0o755)
        complete.touch()
    return root
