"""What the start of a command does not do: it is paid for by every call of sendmail, exim -bt and exim -q."""

import re
import subprocess
from shutil import which

import pytest

from exim import binary

LATER = ("libssl", "libcrypto", "libdb", "libidn2", "libunistring", "libpcre2", "libcrypt", "libm.", "libseccomp")
ROUTE = """
begin routers
named:
  driver = redirect
  domains = alias.test
  data = ${lookup{$local_part}lsearch{{dir}/aliases}}
user:
  driver = redirect
  domains = user.test
  data = u$exim_uid@here.test
matched:
  driver = redirect
  domains = regex.test
  condition = ${if match{$local_part}{^a.c}}
  data = yes@here.test
local:
  driver = accept
  domains = here.test
  transport = t
begin transports
t:
  driver = appendfile
  directory = {dir}/mail
  maildir_format
"""


def test_libraries_are_loaded_when_they_are_called():
    text = subprocess.run(["readelf", "-d", binary()], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", text)
    assert needed
    assert not [n for n in needed if n.startswith(LATER)], "a function is missing from base/openssl.h or its like"


def test_they_work_when_they_are_called(site):
    e = site("")
    asked = "${md5:x} ${sha256:x} ${utf8_domain_to_alabel:b\u00fccher.test} "
    asked += "${if match{abc}{^a(.)c}{$1}} ${if crypteq{secret}{abNANd1rDfiNc}{y}{n}}"
    assert e.run("-be", asked).stdout.split() == [
        "9dd4e461268c8034f5c8564e155c67a6",
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881".upper(),
        "xn--bcher-kva.test",
        "b",
        "y",
    ]


def calls(e, *args):
    """The system calls of a run: [(name, the rest of the line)]."""
    out = e.dir / "trace"
    e.run(*args, before=["strace", "-f", "-o", str(out)])
    lines = (re.match(r"\d+ +(\w+)\((.*)", line) for line in out.read_text().splitlines())
    return [m.groups() for m in lines if m]


@pytest.fixture
def routes(site):
    e = site(ROUTE)
    (e.dir / "aliases").write_text("".join(f"alias{n}: u{n}@here.test\n" for n in range(10000)))
    return e


@pytest.mark.skipif(which("strace") is None, reason="needs strace")
@pytest.mark.parametrize("args", [["-bV"], ["-bt", "alias9000@alias.test"]])
def test_a_short_run_loads_and_forks_nothing(routes, args):
    seen = calls(routes, *args)
    files = [rest.split('"')[1] for name, rest in seen if name.startswith("open") and '"' in rest]
    assert [f for f in files if ".so" in f and "ld.so.cache" not in f and "libc.so" not in f] == []
    assert files.count("/etc/resolv.conf") == 0
    assert [name for name, _ in seen if name in ("clone", "clone3", "fork", "vfork")] == []
    assert len(seen) < 250


def test_what_was_put_off_is_there_when_it_is_used(routes):
    out = routes.run("-bt", "alias9000@alias.test", "x@user.test", "abc@regex.test").stdout
    uid = routes.run("-be", "$exim_uid").stdout.strip()
    for address in ("u9000@here.test", f"u{uid}@here.test", "yes@here.test"):
        assert address in out
