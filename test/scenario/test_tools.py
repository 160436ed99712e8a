"""What others wrote to read Exim's files reads ours: Debian's exigrep, eximstats, exipick, exim_dumpdb."""

import re

import reference
from exim import free_port

CONFIG = """
qualify_domain = here.test
acl_smtp_rcpt = accept
queue_only_override = false
log_selector = +deliver_time +queue_time
begin routers
closed:
  driver = redirect
  domains = here.test
  local_parts = closed
  data = :fail: closed
  allow_fail
full:
  driver = redirect
  domains = here.test
  local_parts = full
  data = :defer: not now
  allow_defer
local:
  driver = accept
  domains = here.test
  transport = maildir
away:
  driver = manualroute
  domains = away.test
  route_list = * 127.0.0.1
  self = send
  transport = nobody_there
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
nobody_there:
  driver = smtp
  port = {nobody}
  allow_localhost
begin retry
* * F,2h,15m
"""
SENDER = "sender@there.test"


def submit(e, *recipients, mode="-odf", body="body"):
    text = f"Subject: {recipients[0]}\n\n{body}\n"
    e.run(mode, "-f", SENDER, "-oMa", "192.0.2.7", "-oMs", "relay.there.test", "-oMr", "esmtp", *recipients, input=text)
    return re.findall(r"(\S{16}) <= ", e.mainlog())[-1]


def make(site):
    return site(CONFIG, nobody=free_port())


def test_exigrep_shows_the_whole_story_of_a_message(site):
    e = make(site)
    one = submit(e, "alice@here.test")
    two = submit(e, "bob@here.test", "full@here.test")

    out = reference.tool("exigrep", "bob@here", e.dir / "log/mainlog")

    assert one not in out
    story = [line for line in out.splitlines() if two in line and "+++" not in line]
    assert story == [line for line in e.mainlog().splitlines() if two in line]
    assert " <= " in story[0] and any("== full@here.test" in x for x in story)
    assert one in reference.tool("exigrep", one, e.dir / "log/mainlog")


def test_exigrep_knows_what_is_finished(site):
    e = make(site)
    done = submit(e, "alice@here.test")
    waiting = submit(e, "full@here.test")

    out = reference.tool("exigrep", "there.test", e.dir / "log/mainlog")

    head, _, tail = out.partition("not completed")
    assert done in head and done not in tail
    assert waiting in tail


def grand_totals(report):
    rows = re.findall(r"^ *(Received|Delivered|Rejects|Errors)  +(\S+) +(\d+)", report, re.M)
    return {name: (volume, int(count)) for name, volume, count in rows}


def test_eximstats_counts_what_went_through(site):
    e = make(site)
    for name in ("alice", "bob", "carol"):
        submit(e, f"{name}@here.test")
    submit(e, "alice@here.test", "bob@here.test")
    submit(e, "full@here.test")

    report = reference.tool("eximstats", "-txt", "-nr", e.dir / "log/mainlog")

    totals = grand_totals(report)
    assert totals["Received"][1] == 5, report
    assert totals["Delivered"][1] == 5, report  # addresses; the deferred one is none
    assert re.search(r"^ *maildir +\S+ +5$", report, re.M), report
    assert re.search(r"^ *5 +\d+ +\d+ +relay\.there\.test$", report, re.M), report


def test_eximstats_counts_failed_addresses(site):
    e = make(site)
    submit(e, "closed@here.test", "alice@here.test")

    report = reference.tool("eximstats", "-txt", e.dir / "log/mainlog")

    assert "List of errors" in report
    assert re.search(r"^ *1 closed@here\.test R=closed: closed", report, re.M), report


def test_exim_dumpdb_prints_our_retry_hints(site):
    e = make(site)
    submit(e, "x@away.test")

    out = reference.tool("exim_dumpdb", e.dir / "spool", "retry")

    key = re.search(r"^ *T:127\.0\.0\.1:127\.0\.0\.1:\d+ (\d+) (\S+) (.*)$", out, re.M)
    assert key and "Connection refused" in key[3], out
    first, last, following = re.findall(r"\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d", out)[:3]
    assert first == last != following, out


def test_exim_dumpdb_prints_our_waiting_hosts(site):
    e = make(site)
    message = submit(e, "x@away.test")

    out = reference.tool("exim_dumpdb", e.dir / "spool", "wait-nobody_there")

    assert "127.0.0.1" in out and message in out, out


def exipick(e, *args):
    return reference.tool("exipick", "--spool", e.dir / "spool", *args)


def test_exipick_lists_and_selects_from_our_queue(site):
    e = make(site)
    one = submit(e, "alice@here.test", mode="-odq")
    two = submit(e, "bob@away.test", "carol@away.test", mode="-odq", body="long " * 900)

    assert exipick(e, "-i").split() == [one, two]
    assert exipick(e, "-i", "$recipients =~ /carol/").split() == [two]
    assert exipick(e, "-i", "-r", "alice").split() == [one]
    assert exipick(e, "-i", "$message_size > 4000").split() == [two]
    assert exipick(e, "-i", "$sender_host_address eq 192.0.2.7", "$received_protocol eq esmtp").split() == [one, two]
    assert exipick(e, "-i", "$h_subject: eq alice@here.test").split() == [one]
    assert exipick(e, "--show-vars", "$sender_address", "-i", "$message_exim_id eq " + one).count(SENDER) == 1


def test_exipick_prints_the_queue_as_we_do(site):
    e = make(site)
    submit(e, "alice@here.test", "bob@here.test", mode="-odq")

    assert sorted(exipick(e, "-bp").split()) == sorted(e.run("-bp").stdout.split())


def test_exipick_sees_frozen_and_delivered(site):
    e = make(site)
    frozen = submit(e, "alice@here.test", mode="-odq")
    e.run("-Mf", frozen)
    half = submit(e, "bob@here.test", "full@here.test")

    assert exipick(e, "-i", "$deliver_freeze").split() == [frozen]
    assert exipick(e, "-i", "!$deliver_freeze").split() == [half]
    assert "D bob@here.test" in exipick(e, "-bp", f"$message_exim_id eq {half}")
