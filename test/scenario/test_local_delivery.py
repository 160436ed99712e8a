"""Local deliveries that are killed, and on a kernel that names files in the old way only."""

import os
import re
import signal
import subprocess
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


@pytest.mark.parametrize("order", [["box", "program"], ["program", "box"]])
def test_a_mailbox_delivered_before_a_slow_program_is_noted_while_that_runs(site, order):
    e = site(CONFIG)
    p = subprocess.Popen([binary(), "-C", e.conf, "-odf", *[f"{r}@here.test" for r in order]], stdin=subprocess.PIPE,
                         env=e._env(), cwd=e.dir, start_new_session=True, **e._identity())
    try:
        p.stdin.write(b"Subject: t\n\nt\n")
        p.stdin.close()
        wait_until((e.dir / "begun").exists)
        delivered = len(e.maildir("box"))
        for file in (e.dir / "box" / "new").glob("*"):  # read: a delivery done again would not find it
            file.rename(e.dir / "box" / "cur" / file.name)
        seen = e.mainlog().count("=> box ")
    finally:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
    assert seen == delivered
    (e.dir / "go").touch()
    e.run("-qf")
    assert len(e.maildir("box")) == 1 - delivered
    assert e.mainlog().count("=> box ") == 1 and e.mainlog().count("Completed") == 1
    assert not e.queue()


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
