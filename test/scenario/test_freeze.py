"""control = freeze: the message waits, and freeze_tell hears of it unless no_tell."""

import pytest

from exim import wait_until
from smtp import Smtp

CONFIG = """
freeze_tell = boss@here.test
acl_smtp_rcpt = acl_rcpt
begin acl
acl_rcpt:
  accept control = {control}
begin routers
local:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
begin retry
"""


@pytest.mark.parametrize("control,told", [("freeze", 1), ("freeze/no_tell", 0)])
def test_who_hears_of_a_frozen_message(site, control, told):
    with site(CONFIG, control=control) as e:
        with Smtp(e.port) as s:
            s.ok("EHLO x")
            s.message("a@b.test", ["one@here.test"])
            s.quit()
        if told:
            assert "has been frozen" in e.wait_mail("mail/boss")[0]
        wait_until(lambda: len(e.queue()) == 1)
        assert "*** frozen ***" in e.run("-bp").stdout
        e.run("-qff")
        e.wait_mail("mail/one")
        assert len(e.maildir("mail/boss")) == told
