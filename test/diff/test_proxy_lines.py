"""The same connections behind a balancer with Debian's Exim and with ours: answers and log lines must be alike.

Only headers that Exim reads rightly are here; what it gets wrong is in test/scenario/test_proxy.py.
"""

import re
import socket
import subprocess

import pytest
from exim import binary, munge
from proxyheader import v1, v2
from reference import Reference, environment, root

CONFIG = """
log_selector = +proxy +incoming_port
hosts_proxy = <; 127.0.0.1 ; ::1
hosts_connection_nolog = *
tls_advertise_hosts =
smtp_banner = hello
smtputf8_advertise_hosts =
received_header_text =
message_id_header_domain = here.test
acl_smtp_connect = acl_connect
acl_smtp_rcpt = acl_rcpt
begin acl
acl_connect:
 warn condition = ${if and{ {bool{$proxy_session}} {eq{$proxy_local_address}{}} } }
 log_message = Failed required proxy protocol negotiation from [$sender_host_address]
 warn condition = ${if and{ {bool{$proxy_session}} {!eq{$proxy_local_address}{}} } }
 log_message = Successfully proxied from $sender_host_name [$sender_host_address] through proxy protocol host $proxy_local_address
 warn logwrite = Remote Source Address: $sender_host_address:$sender_host_port
 logwrite = Proxy Target Address: $proxy_external_address:$proxy_external_port
 accept
acl_rcpt:
 deny local_parts = refused
 accept
begin routers
all:
  driver = accept
  transport = nothing
begin transports
nothing:
  driver = appendfile
  file = /dev/null
begin retry
"""
NEW_IN_496 = "pipelining_connect_advertise_hosts =\nhosts_require_helo =\n"
MESSAGE = b"EHLO me.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<refused@here.test>\r\nRCPT TO:<c@here.test>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n"
HEADERS = {
    "v1": v1(), "v1 IPv6": v1("2001:db8::7", "2001:db8::8", family="TCP6"), "v1 unknown name": v1(src="198.51.100.9"),
    "v2": v2(), "v2 IPv6": v2("2001:db8::7", "2001:db8::8"),
    "wrong family": b"PROXY TCP9 192.0.2.7 192.0.2.8 1 2\r\n",
    "no address": b"PROXY TCP4 elsewhere 192.0.2.8 1 2\r\n",
    "wrong command": v2(command=2),
}


def talk(e, program, extra, header):
    """The client waits for each answer, as clients do; program has the connection as standard input."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), 10)
        theirs, _ = listener.accept()
    with ours, theirs:
        process = subprocess.Popen([program, "-C", e.conf, "-odq", "-bs"], stdin=theirs, stdout=theirs, cwd=e.dir,
                                   env={**e._env(), **extra}, **e._identity())
        theirs.close()
        stream = ours.makefile("rwb")
        stream.write(header)
        stream.flush()
        said, data = [], False
        for line in [b"", *MESSAGE.splitlines(keepends=True)]:
            stream.write(line)
            stream.flush()
            data = (data or said[-1:] == ["354"]) and line != b".\r\n"
            while not data:
                answer = stream.readline().decode()
                said.append(answer[:3] if answer.startswith("354") else answer.rstrip())
                if answer[3:4] != "-":
                    break
        process.wait(20)
    return said


def same_terms(text):
    text = re.sub(r".*lost privilege for using -C.*\n", "", munge(text))
    text = re.sub(r"\[127\.0\.0\.1\]:\d+", "[127.0.0.1]:<port>", text)
    text = re.sub(r"Address: 127\.0\.0\.1:\d+", "Address: 127.0.0.1:<port>", text)
    return [re.sub(r" (S|id)=\S+", "", line) for line in text.splitlines()]


@pytest.mark.parametrize("name", HEADERS)
def test_answers_and_log_lines_are_the_same(site, name):
    ours, theirs = site(CONFIG, "ours"), Reference(site(CONFIG, "theirs"), NEW_IN_496)
    said = talk(ours, binary(), {}, HEADERS[name])
    wanted = talk(theirs, root() / "usr/sbin/exim4", environment(theirs.dir, theirs.user), HEADERS[name])
    assert same_terms("\n".join(said)) == same_terms("\n".join(wanted))
    assert same_terms(ours.mainlog()) == same_terms(theirs.mainlog())
