"""Local deliveries that are killed, and on a kernel that names files in the old way only."""

import os
import re
import signal
import subprocess
from contextlib import contextmanager
from shutil import which

import pytest

from exim import binary, wait_until

CONFIG = """
begin routers
box:
  driver = accept
  local_parts = box
  transport = box
program:
  driver = accept
  transport = program
begin transports
box:
  driver = appendfile
  directory = {dir}/box
  maildir_format
  create_directory
program:
  driver = pipe
  command = /bin/sh -c "cat > /dev/null; touch {dir}/begun; while [ ! -e {dir}/go ]; do sleep 0.05; done"
  path = /bin:/usr/bin
"""


@contextmanager
def killed_while_the_program_runs(e, *recipients):
    """Within, the program has begun and will not end."""
    p = subprocess.Popen([binary(), "-C", e.conf, "-odf", *recipients], stdin=subprocess.PIPE, env=e._env(), cwd=e.dir,
                         start_new_session=True, **e._identity())
    try:
        p.stdin.write(b"Subject: t\n\nt\n")
        p.stdin.close()
        wait_until((e.dir / "begun").exists)
        yield
    finally:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()


def take_away(e):
    """Files are read and moved by their user: a delivery done again finds the name free. How many there were."""
    new = e.maildir("box")
    for file in (e.dir / "box" / "new").glob("*"):
        file.rename(e.dir / "box" / "cur" / file.name)
    return len(new)


@pytest.mark.parametrize("order", [["box", "program"], ["program", "box"]])
def test_a_mailbox_delivered_before_a_slow_program_is_noted_while_that_runs(site, order):
    e = site(CONFIG)
    with killed_while_the_program_runs(e, *[f"{r}@here.test" for r in order]):
        delivered = take_away(e)
        seen = e.mainlog().count("=> box ")
    assert seen == delivered
    (e.dir / "go").touch()
    e.run("-qf")
    assert len(e.maildir("box")) == 1 - delivered
    assert e.mainlog().count("=> box ") == 1 and e.mainlog().count("Completed") == 1
    assert not e.queue()


def test_a_mailbox_is_noted_before_its_slow_shadow_runs(site):
    e = site(CONFIG.replace("  create_directory\n", "  create_directory\n  shadow_transport = program\n"))
    with killed_while_the_program_runs(e, "box@here.test"):
        assert take_away(e) == 1
    (e.dir / "go").touch()
    e.run("-qf")
    assert not e.maildir("box")
    assert not e.queue()


def test_a_shadow_pretends_as_its_transport_does(site):
    e = site(CONFIG.replace("  create_directory\n", "  create_directory\n  shadow_transport = program\n"))
    e.run("-N", "-odf", "box@here.test", input="Subject: t\n\nt\n")
    assert "*> box <box@here.test>" in e.mainlog() and "ST=program" in e.mainlog()
    assert not (e.dir / "begun").exists() and not e.queue()


@pytest.mark.skipif(which("strace") is None, reason="needs strace")
def test_a_kernel_before_6_10_names_files_by_proc(site):
    e = site(CONFIG.replace("local_parts = box", "local_parts = box : second").replace("{dir}/box", "{dir}/$local_part"))
    e.run("-odf", "box@here.test", "second@here.test", input="Subject: t\n\nt\n",
          before=["strace", "-f", "-o", "trace", "-e", "trace=linkat", "-e", "inject=linkat:error=ENOENT:when=1"])
    named = re.findall(r"linkat\((\w+), .*= (.*)", (e.dir / "trace").read_text())
    if not named:
        pytest.skip("the file system here is not one whose files are made without a name")
    assert [result.split()[0] for _, result in named] == ["-1", "0", "0"] and named[1][0] == named[2][0] == "AT_FDCWD"
    assert len(e.maildir("box")) == len(e.maildir("second")) == 1 and not e.queue()
