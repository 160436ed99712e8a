"""Spool and hints change hands: what Debian's Exim queued we deliver, and the other way round."""

import re

import pytest
from reference import Reference, tool

from exim import free_port

CONFIG = """
qualify_domain = here.test
trusted_users = {user}
acl_smtp_rcpt = accept
acl_not_smtp = acl_mark
begin acl
acl_mark:
  accept set acl_m0 = kept \\n value
         set acl_m_name = named
         add_header = X-Added: by acl
begin routers
full:
  driver = redirect
  domains = here.test
  local_parts = full
  data = :defer: not now
  allow_defer
away:
  driver = manualroute
  domains = away.test
  route_list = * 127.0.0.1
  self = send
  transport = nobody_there
family:
  driver = redirect
  domains = here.test
  local_parts = family
  data = father@here.test, mother@here.test, full@here.test
local:
  driver = accept
  domains = here.test
  transport = file
begin transports
file:
  driver = appendfile
  file = {dir}/mail
  envelope_to_add
  return_path_add
  delivery_date_add = false
  headers_add = X-Acl: $acl_m0/$acl_m_name\\nX-From: $sender_host_name $sender_host_address \
$received_protocol $authenticated_id $message_linecount
nobody_there:
  driver = smtp
  port = {nobody}
  allow_localhost
begin retry
* * F,2h,15m
"""
TEXT = """\
From: Sender <sender@there.test>
To: <one@here.test>
Subject: =?utf-8?q?caf=C3=A9?=
X-Long: one
 two
\tthree
X-Empty:
X-8bit: caf\xc3\xa9

first line
.
From the start
last line
"""


@pytest.fixture(params=["ours first", "theirs first"])
def pair(request, site):
    """The writer and the reader of one spool."""
    e = site(CONFIG, nobody=free_port(), user="nobody")
    other = Reference(e)
    return (e, other) if request.param == "ours first" else (other, e)


def queue_on(e, *recipients, text=TEXT, mode="-odq"):
    e.run(mode, "-oi", "-f", "sender@there.test", "-oMa", "192.0.2.7", "-oMs", "relay.there.test",
          "-oMr", "esmtpa", "-oMai", "someone", *recipients, input=text)
    return re.findall(r"(\S{16}) <= ", e.mainlog())[-1]


def arrived(e):
    path = e.dir / "mail"
    return path.read_text(encoding="latin-1") if path.exists() else ""


def test_a_message_survives_the_change(pair):
    writer, reader = pair
    mid = queue_on(writer, "one@here.test", "two@here.test")

    reader.run("-M", mid)

    got = arrived(reader)
    assert reader.queue() == [], reader.mainlog()
    assert got.count("X-Acl: kept \n value/named\n") == 2, got
    assert "X-From: relay.there.test 192.0.2.7 esmtpa someone " in got
    head, _, body = TEXT.partition("\n\n")
    assert head in got and "X-Added: by acl\n" in got
    assert body.replace("From the", ">From the") in got
    assert {"one@here.test", "two@here.test"} == set(re.findall(r"^Envelope-to: (\S+)$", got, re.M))
    assert re.search(rf"{mid} Completed", reader.mainlog())


def test_who_was_delivered_stays_delivered(pair):
    writer, reader = pair
    mid = queue_on(writer, "one@here.test", "full@here.test", "family@here.test", mode="-odf")
    assert arrived(writer).count("Envelope-to:") == 3

    reader.run("-Mmd", mid, "full@here.test")
    reader.run("-M", mid)

    assert arrived(reader).count("Envelope-to:") == 3, reader.mainlog()
    assert reader.queue() == [], reader.mainlog() + reader.run("-bp").stdout


def test_a_frozen_message_is_frozen(pair):
    writer, reader = pair
    mid = queue_on(writer, "one@here.test")
    writer.run("-Mf", mid)

    assert "*** frozen ***" in reader.run("-bp").stdout
    reader.run("-q")
    assert reader.queue() == [mid]
    reader.run("-Mt", mid)
    reader.run("-q")
    assert reader.queue() == []


def test_commands_on_the_others_message(pair):
    writer, reader = pair
    mid = queue_on(writer, "one@here.test", "two@here.test")

    reader.run("-Mar", mid, "three@here.test")
    reader.run("-Mes", mid, "other@there.test")
    reader.run("-Mmd", mid, "two@here.test")
    writer.run("-M", mid)

    got = arrived(writer)
    assert sorted(re.findall(r"^Envelope-to: (\S+)$", got, re.M)) == ["one@here.test", "three@here.test"]
    assert got.count("Return-path: <other@there.test>") == 2


def test_retry_times_of_the_other_are_kept(pair):
    writer, reader = pair
    mid = queue_on(writer, "x@away.test", "full@here.test", mode="-odf")
    tried = writer.mainlog().count("Connection refused")
    assert tried

    reader.run("-q")

    log = reader.mainlog()
    assert log.count("Connection refused") == tried, log
    assert reader.queue() == [mid]


def dumped(e, name):
    text = tool("exim_dumpdb", e.dir / "spool", name)
    text = re.sub(r"\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d", "<time>", text)
    return sorted(re.sub(r"\S{6}-\S{6}-\S\S", "<id>", text).splitlines())


def test_hints_are_the_same(site):
    port = free_port()
    ours = site(CONFIG, "ours", nobody=port, user="nobody")
    theirs = Reference(site(CONFIG, "theirs", nobody=port, user="nobody"))

    for e in (ours, theirs):
        queue_on(e, "x@away.test", "full@here.test", mode="-odf")

    for name in ("retry", "wait-nobody_there"):
        want = dumped(theirs, name)
        # From 4.93 on the key of a routing delay has the local part wherever a router looks at it.
        want = [line.replace("R:full@here.test", "R:here.test") for line in want]
        assert dumped(ours, name) == want
