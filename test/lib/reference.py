"""Debian's Exim, the other side of comparisons: its tools, its server and its default configuration.

Packages are downloaded with apt-get and unpacked into build-reference/, once; nothing is installed and no
user is made. The server wants a user Debian-exim, which nss_wrapper shows it: it is whoever runs the test.
"""

import fcntl
import os
import shutil
import subprocess
from functools import lru_cache

import pytest

import exim

FOLDER = exim.ROOT / "build-reference"
PACKAGES = ["exim4-base", "exim4-config", "exim4-daemon-heavy", "libnss-wrapper"]
LIBRARIES = {
    "libspf2.so.2": "libspf2-2", "libmariadb.so.3": "libmariadb3", "libidn.so.12": "libidn12",
    "libnsl.so.2": "libnsl2", "libtirpc.so.3": "libtirpc3", "libdb-5.3.so": "libdb5.3", "libpq.so.5": "libpq5",
    "libldap-2.5.so.0": "libldap-2.5-0", "liblber-2.5.so.0": "libldap-2.5-0", "libsasl2.so.2": "libsasl2-2",
    "libsqlite3.so.0": "libsqlite3-0", "libperl.so.5.36": "libperl5.36", "libunbound.so.8": "libunbound8",
    "libgnutls.so.30": "libgnutls30", "libgnutls-dane.so.0": "libgnutls-dane0", "libpam.so.0": "libpam0g",
    "libevent-2.1.so.7": "libevent-2.1-7", "libidn2.so.0": "libidn2-0",
}


def fetch(packages):
    """Unpacks these packages below FOLDER. False if the archive cannot be reached."""
    work = FOLDER / "download"
    work.mkdir(exist_ok=True)
    got = subprocess.run(["apt-get", "-q", "download", *packages], cwd=work, capture_output=True, text=True)
    for package in packages:
        files = list(work.glob(f"{package}_*.deb"))
        if got.returncode != 0 or not files:
            return False
        subprocess.run(["dpkg-deb", "-x", files[0], FOLDER / "root"], check=True)
    return True


def library_path():
    lib = FOLDER / "root" / "usr" / "lib"
    return ":".join(map(str, [lib, lib / "postfix", *lib.glob("*-linux-gnu*")]))


def missing_libraries(program):
    p = subprocess.run(["ldd", program], capture_output=True, text=True,
                       env={**os.environ, "LD_LIBRARY_PATH": library_path()})
    return {line.split()[0] for line in p.stdout.splitlines() if "not found" in line}


def _unpack():
    if not fetch(PACKAGES):
        return False
    (FOLDER / "root/usr/sbin/exim4").chmod(0o755)  # the loader ignores LD_PRELOAD for set-uid programs
    for _ in range(3):  # a library may want another
        wanted = {LIBRARIES[name] for name in missing_libraries(FOLDER / "root/usr/sbin/exim4") if name in LIBRARIES}
        if wanted and not fetch(sorted(wanted)):
            return False
    FOLDER.chmod(0o755)
    return True


def once(marker, unpack):
    """The folder with Debian's files in it, after unpack() was run once; or the test is skipped."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        pytest.skip("no apt-get here: Debian's packages cannot be fetched")
    FOLDER.mkdir(exist_ok=True)
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (FOLDER / marker).exists():
            if not unpack():
                pytest.skip("Debian's archive cannot be reached: apt-get download failed")
            (FOLDER / marker).touch()
    return FOLDER / "root"


@lru_cache(None)
def root():
    """The folder with Debian's Exim in it."""
    return once("complete", _unpack)


def tool(name, *args, input="", check=True):
    """Runs one of Debian's tools; its output."""
    p = subprocess.run([root() / "usr/sbin" / name, *map(str, args)], input=input, capture_output=True, text=True,
                       errors="surrogateescape", env={**os.environ, "LD_LIBRARY_PATH": library_path()})
    assert not check or p.returncode == 0, f"{name} {args}: {p.returncode}\n{p.stdout}{p.stderr}"
    return p.stdout


def environment(folder, user):
    """What Debian's server needs to find its libraries and its user."""
    uid, gid = (user.pw_uid, user.pw_gid) if user else (os.getuid(), os.getgid())
    passwd, group = folder / "nss_passwd", folder / "nss_group"
    for path, line, old in ((passwd, f"Debian-exim:x:{uid}:{gid}::/:/bin/false\n", "/etc/passwd"),
                            (group, f"Debian-exim:x:{gid}:\n", "/etc/group")):
        if not path.exists():
            with open(old) as f:
                kept = [x for x in f if not x.startswith("Debian-exim:")]
            path.write_text("".join([*kept, line]))
            path.chmod(0o644)
    wrapper = next(root().glob("usr/lib/*/libnss_wrapper.so"))
    return {"LD_LIBRARY_PATH": library_path(), "LD_PRELOAD": str(wrapper),
            "NSS_WRAPPER_PASSWD": str(passwd), "NSS_WRAPPER_GROUP": str(group)}


class Reference(exim.Exim):
    """Debian's server on an installation of ours: same folder, same configuration but keep_environment and `extra`."""

    def __init__(self, site, extra=""):
        self.__dict__.update(site.__dict__)
        self.process = None
        self.conf = site.dir / "reference.conf"
        text = site.conf.read_text()
        text = text.replace("keep_environment =", "keep_environment = LD_* : NSS_WRAPPER_*", 1)
        self.conf.write_text(f"exim_path = {root()}/usr/sbin/exim4\n{extra}{text}")
        if self.user:
            os.chown(self.conf, self.user.pw_uid, self.user.pw_gid)
        p = self.run("-bV", check=False)
        if p.returncode != 0:
            pytest.skip(f"Debian's server does not run here: {p.stdout}{p.stderr}")

    def run(self, *args, input="", check=True, timeout=60):
        program = root() / "usr/sbin/exim4"
        p = subprocess.run([program, "-C", self.conf, *map(str, args)], input=input, encoding="latin-1", capture_output=True,
                           timeout=timeout, cwd=self.dir, **self._identity(),
                           env={**self._env(), **environment(self.dir, self.user)})
        if check and p.returncode != 0:
            raise AssertionError(f"Debian's exim {args}: status {p.returncode}\n{p.stdout}\n{p.stderr}")
        return p
