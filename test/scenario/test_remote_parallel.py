"""Many recipients at one host: few processes, each with one connection for one group after another."""

import re
import string

import pytest

from sink import Sink

CONFIG = """
acl_smtp_rcpt = accept
qualify_domain = here.test
remote_max_parallel = {parallel}
tls_advertise_hosts =
begin routers
out:
  driver = manualroute
  domains = *.test
  route_data = 127.0.0.1
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {sink}
  allow_localhost
  max_rcpt = {each}
  {options}
begin retry
* * F,1h,15m
"""
# Ends the process that has just made its connection for one of these recipients.
KILLS = "authenticated_sender = ${if inlist{$local_part}{KILLED}{${run{/bin/sh $spool_directory/../kill}}}{}}"


@pytest.fixture
def sink():
    s = Sink()
    yield s
    s.close()


def deliver(site, sink, to, parallel=2, each=10, options=""):
    e = site(CONFIG, sink=sink.port, parallel=parallel, each=each, options=options)
    (e.dir / "kill").write_text("kill -9 $PPID\n")
    e.run("-odf", "-f", "me@here.test", *[f"{t}@out.test" for t in to], input="Subject: x\n\nx\n")
    return e


def taken(sink):
    return sorted(c for c in sink.commands if c.startswith("RCPT"))


def test_groups_are_shared_out_among_as_many_connections_as_may_be(site, sink):
    to = [f"u{n}" for n in range(95)]
    e = deliver(site, sink, to)
    assert len(sink.messages) == 10 and sink.connections in (1, 2)
    assert taken(sink) == sorted(f"RCPT TO:<{t}@out.test>" for t in to)
    log = e.mainlog()
    delivered = re.findall(r"[=-]> (\w+)@out.test R=out T=smtp H=127.0.0.1 \[127.0.0.1\](\*?)", log)
    assert sorted(t for t, _ in delivered) == sorted(to) and log.count("Completed") == 1
    assert sum(star == "" for _, star in delivered) in ((5, 10) if sink.connections == 1 else (15, 20))
    assert e.queue() == []


def test_a_group_that_is_deferred_waits_while_others_are_delivered(site):
    sink = Sink(answers={"RCPT": lambda a: "451 later" if "u3@" in a else "550 no" if "u5@" in a else "250 OK"})
    e = deliver(site, sink, [f"u{n}" for n in range(8)], each=1)
    log = e.mainlog()
    sink.close()
    assert len(e.queue()) == 1 and "** u5@out.test" in log
    assert len(re.findall(r"=> u[012467]@out.test", log)) == 6 and "== u3@out.test" in log


@pytest.mark.parametrize("killed", ["c", "a:b", "a:b:c:d:e:f"])
def test_what_a_process_had_when_it_died_is_deferred_and_the_rest_delivered(site, sink, killed):
    to = string.ascii_lowercase[:6]
    e = deliver(site, sink, to, each=1, options=KILLS.replace("KILLED", killed))
    lost, log = killed.split(":"), e.mainlog()
    for t in to:
        if t in lost:
            assert f"== {t}@out.test R=out T=smtp defer (-1): remote delivery process was ended by signal 9" in log
        else:
            assert f"=> {t}@out.test" in log
    assert taken(sink) == [f"RCPT TO:<{t}@out.test>" for t in to if t not in lost]
    assert len(e.queue()) == 1


def test_a_connection_that_ends_while_its_next_reply_is_waited_for_is_replaced(site):
    class Tired(Sink):
        """Takes two messages; the next command on the connection is answered by the end."""

        def _session(self, sock):
            self.took = 0
            super()._session(sock)

        def _say(self, verb, argument, default):
            if verb == "MAIL" and self.took == 2:
                raise OSError
            return super()._say(verb, argument, default)

        def _data(self, stream, envelope, say):
            super()._data(stream, envelope, say)
            self.took += 1

    sink = Tired([])
    e = deliver(site, sink, [f"u{n}" for n in range(5)], parallel=1, each=1)
    sink.close()
    assert len(sink.messages) == 5 and sink.connections == 3 and e.queue() == [], e.mainlog()
