"""SIGHUP while clients send and messages wait: nobody notices."""

import os
import re
import signal
import threading
import time
from collections import Counter

from smtp import Smtp

CONFIG = """
host_lookup =
acl_smtp_rcpt = accept
smtp_accept_queue_per_connection = 0
{main}
begin routers
slow:
  driver = accept
  local_parts = slow
  transport = slow
here:
  driver = accept
  transport = maildir
begin transports
slow:
  driver = pipe
  command = /bin/sh -c "sleep 0.5; cat"
  path = /bin:/usr/bin
  return_output = false
  log_output = false
  user = {user}
maildir:
  driver = appendfile
  directory = {dir}/mail
  maildir_format
  create_directory
  user = {user}
"""
SECONDS, RELOADS, CLIENTS = 2.5, 6, 4


class Client(threading.Thread):
    """Sends until the end; whatever is not as it should be is in `wrong`."""

    def __init__(self, port, name, end):
        super().__init__()
        self.port, self.tag, self.end = port, name, end
        self.sent, self.wrong = [], []

    def run(self):
        while time.monotonic() < self.end and not self.wrong:
            try:
                self.session()
            except (OSError, EOFError, AssertionError) as e:
                self.wrong.append(repr(e))

    def session(self):
        with Smtp(self.port, timeout=10) as s:
            assert s.banner.startswith("220"), s.banner
            s.ok("EHLO client.test")
            for _ in range(3):
                tag = f"{self.tag}-{len(self.sent)}"
                to = "slow" if len(self.sent) % 20 == 7 else "fast"
                got = s.message("a@here.test", [f"{to}@here.test"], f"Subject: {tag}\r\n\r\nbody\r\n")
                assert got is None or got.startswith("250"), got
                self.sent.append((tag, to))
            s.quit()


def test_sighup_under_load(site):
    e = site(CONFIG, main="", user="nobody" if os.geteuid() == 0 else os.environ.get("USER", "nobody"))
    e.start()
    end = time.monotonic() + SECONDS
    clients = [Client(e.port, f"c{i}", end) for i in range(CLIENTS)]
    for c in clients:
        c.start()
    for _ in range(RELOADS):
        time.sleep(SECONDS / (RELOADS + 1))
        e.process.send_signal(signal.SIGHUP)
    for c in clients:
        c.join()
    assert not [c.wrong for c in clients if c.wrong]
    sent = [s for c in clients for s in c.sent]
    e.stop()  # delivers what waits, or leaves it in the queue
    e.run("-qff")
    log = e.mainlog()
    assert log.count("SIGHUP received") == RELOADS
    assert not re.search(r"ended by signal|ended with status|refused", log + e.paniclog())
    tags = Counter(m for text in e.maildir("mail") for m in re.findall(r"^Subject: (\S+)$", text, re.M))
    assert tags == Counter(tag for tag, to in sent if to == "fast")
    assert len(re.findall(r"=> slow <slow@here.test>", log)) == sum(to == "slow" for _, to in sent) > 0
    assert not e.queue()
