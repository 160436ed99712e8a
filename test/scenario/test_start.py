"""What the start of a command does not do: it is paid for by every call of sendmail, exim -bt and exim -q."""

import re
import subprocess

from exim import binary

LATER = ("libssl", "libcrypto", "libdb", "libidn2", "libunistring")


def test_libraries_are_loaded_when_they_are_called():
    text = subprocess.run(["readelf", "-d", binary()], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", text)
    assert needed
    assert not [n for n in needed if n.startswith(LATER)], "a function is missing from base/openssl.h or its like"


def test_they_work_when_they_are_called(site):
    e = site("")
    asked = "${md5:x} ${sha256:x} ${utf8_domain_to_alabel:b\u00fccher.test}"
    assert e.run("-be", asked).stdout.split() == [
        "9dd4e461268c8034f5c8564e155c67a6",
        "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881".upper(),
        "xn--bcher-kva.test",
    ]
