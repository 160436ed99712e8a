"""scripts/demo: see there. Everything runs on loopback, in a folder of its own, and is ended at the end."""

import email
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

from dnsserver import DnsServer  # noqa: E402
from exim import Exim, free_port, wait_until  # noqa: E402

CLIENT = "127.0.0.7"  # what HAProxy sees, and tells us
checks = []


def check(what, good, detail=""):
    checks.append(bool(good))
    print(f"  {'ok  ' if good else 'FAIL'}  {what}")
    if detail:
        print("".join(f"          {line}\n" for line in str(detail).rstrip().splitlines()[:12]), end="")
    sys.stdout.flush()
    return good


def title(text):
    print(f"\n== {text}", flush=True)


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def certificates(folder):
    """A CA, and a certificate of it for relay.good.test."""
    folder.mkdir()
    ca, key, cert = folder / "ca.pem", folder / "key.pem", folder / "cert.pem"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key", "-out", ca,
            "-subj", "/CN=Demo CA", "-days", 30)
    openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", folder / "csr",
            "-subj", "/CN=relay.good.test")
    (folder / "ext").write_text("subjectAltName=DNS:relay.good.test\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", folder / "csr", "-CA", ca, "-CAkey", folder / "ca.key", "-CAcreateserial",
            "-out", cert, "-days", 30, "-extfile", folder / "ext")
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)
    return {"ca": ca, "cert": cert, "key": key}


def start_haproxy(folder, backend_port):
    port = free_port()
    conf = folder / "haproxy.cfg"
    conf.write_text(f"""
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend smtp
  bind 127.0.0.1:{port}
  default_backend nodes
backend nodes
  server node1 127.0.0.1:{backend_port} send-proxy-v2
""")
    process = subprocess.Popen(["haproxy", "-db", "-f", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def up():
        if process.poll() is not None:
            raise SystemExit("haproxy did not start")
        return f":{port:04X} " in Path("/proc/net/tcp").read_text()

    wait_until(up)
    return process, port


def swaks(port):
    pipe = f"/usr/bin/python3 {HERE}/notify_pipe.py 127.0.0.1 {port} {CLIENT} SUCCESS,FAILURE"
    recipients = "bob@here.test,sales@here.test,carol@good.test,dave@bad.test,refused@here.test,eve@nowhere.test"
    p = subprocess.run(["swaks", "--pipe", pipe, "--from", "alice@here.test", "--to", recipients, "--ehlo",
                        "client.demo.test", "--header", "Subject: the demo", "--body", "Hello from the demo."],
                       capture_output=True, text=True, timeout=60)
    return p.stdout


def reports(front):
    """Delivery reports in the sender's Maildir, by Action."""
    found = {}
    for text in front.maildir("mail/alice"):
        m = email.message_from_string(text)
        for action in re.findall(r"^Action: (\w+)", text, re.M):
            found.setdefault(action, []).append((m, text))
    return found


def show_report(text):
    part = text.split("delivery-status\n", 1)[-1]
    return "\n".join(line for line in part.splitlines() if re.match(r"[A-Z][\w-]+: ", line))


def run(folder):
    dns = DnsServer({
        "7.0.0.127.in-addr.arpa": [("PTR", "client.demo.test.")],
        "client.demo.test": [("A", CLIENT)],
        "relay.good.test": [("A", "127.0.0.1")],
        "relay.bad.test": [("A", "127.0.0.1")],
    })
    certs = certificates(folder / "certs")
    relay = Exim(folder / "relay", (HERE / "relay.conf").read_text(), dns=dns, **certs)
    front = Exim(folder / "front", (HERE / "front.conf").read_text(), dns=dns, relay_port=relay.port, **certs)
    haproxy = None
    try:
        relay.start()
        front.start(quiet=True)  # a plain connection would owe a header
        haproxy, port = start_haproxy(folder, front.port)
        print(f"HAProxy on 127.0.0.1:{port} (send-proxy-v2) -> our daemon on {front.port} -> partner on {relay.port}")

        title("swaks sends one message to six recipients through HAProxy, NOTIFY=SUCCESS,FAILURE")
        out = swaks(port)
        told = {m[0]: m[1] for m in re.findall(r"RCPT TO:<([^>]+)>.*\n(?:<.{2}|\s*<[-~*]*)\s*(\d{3}.*)", out)}
        check("the session was accepted", "250 OK id=" in out, "\n".join(
            line for line in out.splitlines() if "RCPT" in line or " 250 OK" in line or " 550" in line))
        check("one recipient was refused in the RCPT ACL", "550 this mailbox takes no mail" in out, told.get("refused@here.test", ""))

        title("the connect ACL of the manual's example logs the client's address")
        front.wait_log(r"Successfully proxied from client\.demo\.test")
        for pattern in (rf"Warning: Successfully proxied from client\.demo\.test \[{CLIENT}\] through proxy protocol host 127\.0\.0\.1",
                        rf"Remote Source Address: {CLIENT}:\d+", rf"Proxy Target Address: 127\.0\.0\.1:{port}",
                        r"Proxy Internal Address: 127\.0\.0\.1:\d+", rf"Internal Server Address: 127\.0\.0\.1:{front.port}"):
            line = re.search(rf"^.*{pattern}.*$", front.mainlog(), re.M)
            check(pattern.replace("\\", ""), line, line and line[0])
        line = front.wait_log(rf"^.* <= alice@here\.test H=.*\[{CLIENT}\].* PRX=127\.0\.0\.1 S=.*$")
        check("the arrival line has PRX=", line, line[0])

        title("deliveries")
        line = front.wait_mail("mail/bob") and front.wait_log(r"^.* => bob <bob@here\.test>.*$")
        check("one recipient into a local Maildir", line, line[0])
        line = front.wait_mail("mail/ben") and front.wait_log(r"^.* => ben <sales@here\.test>.*$")
        check("one through an alias", line, line[0])
        got = relay.wait_mail("mail/carol")
        line = front.wait_log(r"^.* => carol@good\.test .*X=TLS.* CV=yes.*$")
        check("one relayed over STARTTLS, certificate name verified", got and line, line[0])
        line = front.wait_log(r"^.* == dave@bad\.test .*$")
        why = re.search(r"^.*certificate name mismatch.*$", front.mainlog(), re.M)
        check("one deferred because the certificate does not match", why, f"{why and why[0]}\n{line[0]}")
        check("nothing of it reached the partner", not relay.maildir("mail/dave"))
        line = front.wait_log(r"^.* \*\* eve@nowhere\.test.*$")
        check("one failed at routing", "Unrouteable address" in line[0], line[0])

        title("reports in the sender's Maildir")
        front.wait_mail("mail/alice", 2)
        found = reports(front)
        for action in ("delivered", "failed"):
            m, text = found[action][0]
            mime = m.get_content_type() == "multipart/report" and len(m.get_payload()) == 3
            check(f"a report '{action}' as MIME: {m['Subject']}", mime, show_report(text))
        success = found["delivered"][0][1]
        check("the success report names the addresses as submitted", "sales@here.test" in success and "bob@here.test" in success)
        check("the failure report names the failed one alone",
              "eve@nowhere.test" in found["failed"][0][1] and "Final-Recipient: rfc822;dave" not in found["failed"][0][1])
        queue = front.queue()
        check("only the deferred recipient's message is left in the queue", len(queue) == 1, front.run("-bp").stdout)

        title("the main log")
        print("".join("    " + line + "\n" for line in front.mainlog().splitlines()), end="")
        panic = front.paniclog() + relay.paniclog()
        check("the panic logs are empty", not panic, panic)
    finally:
        if haproxy:
            haproxy.terminate()
            haproxy.wait()
        front.stop()
        relay.stop()
        dns.close()


def main():
    with tempfile.TemporaryDirectory(prefix="exim-demo-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        run(folder)
    print(f"\n{sum(checks)} of {len(checks)} as expected")
    return 0 if all(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
