"""Debian's Exim, the other side of comparisons: its tools, its server and its default configuration.

Packages are downloaded with apt-get and unpacked into build-reference/, once; nothing is installed and no
user is made. The server wants a user Debian-exim, which nss_wrapper shows it: it is whoever runs the test.
"""

import os
import subprocess
from functools import lru_cache

import pytest

import debian
import exim

PACKAGES = ["exim4-base", "exim4-config", "exim4-daemon-heavy", "libnss-wrapper"]


@lru_cache(None)
def root():
    """The folder with Debian's files in it, or the test is skipped."""
    try:
        return debian.unpack("exim", PACKAGES, "usr/sbin/exim4")
    except debian.Unavailable as e:
        pytest.skip(str(e))


def tool(name, *args, input="", check=True):
    """Runs one of Debian's tools; its output."""
    p = subprocess.run([root() / "usr/sbin" / name, *map(str, args)], input=input, capture_output=True, text=True,
                       errors="surrogateescape", env={**os.environ, "LD_LIBRARY_PATH": debian.library_path(root())})
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
    return {"LD_LIBRARY_PATH": debian.library_path(root()), "LD_PRELOAD": str(wrapper),
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

    def _program(self):
        return root() / "usr/sbin/exim4"

    def _server_env(self):
        return {**self._env(), **environment(self.dir, self.user)}

    def run(self, *args, input="", check=True, timeout=60):
        program = root() / "usr/sbin/exim4"
        p = subprocess.run([program, "-C", self.conf, *map(str, args)], input=input, encoding="latin-1", capture_output=True,
                           timeout=timeout, cwd=self.dir, **self._identity(),
                           env={**self._env(), **environment(self.dir, self.user)})
        if check and p.returncode != 0:
            raise AssertionError(f"Debian's exim {args}: status {p.returncode}\n{p.stdout}\n{p.stderr}")
        return p
