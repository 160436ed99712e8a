"""What is done while system calls fail: each story knows who must have which message afterwards."""

import re
import time

from torture import BODY, dialogue, text


class Story:
    """tags: {tag: [places]}. act() tells for each tag whether the server took it: yes, no, or maybe."""

    main = ""
    daemon = False
    tags = {}
    kills = 0  # calls at which a process is killed, at least, also in the quick form

    def prepare(self, e):
        """Before each case; done once, its state is kept."""

    def act(self, e):
        raise NotImplementedError

    def check(self, e, taken, window):
        """window: a second copy is explained."""
        for tag, places in self.tags.items():
            for place in places:
                whole, pieces = e.copies(place, tag)
                if taken[tag] == "yes":
                    assert whole >= 1, f"{tag}: was taken, but {place} has nothing whole ({pieces} pieces, {len(e.sink.messages)} at the sink)"
                if taken[tag] == "no":
                    assert whole == 0, f"{tag}: was refused, but {place} has it"
                assert pieces == 0, f"{tag}: {place} has pieces of it"
                assert whole <= 1 or window(place), f"{tag}: {place} has it {whole} times"


def answers(out, tags):
    """What became of each message, from the replies in order: a final reply follows each 354."""
    finals, waiting = [], False
    for line in out.split("\n"):
        if line.startswith("354"):
            waiting = True
        elif waiting and re.match(r"\d\d\d ", line) or re.match(r"250[ -]OK id=", line):
            finals.append("yes" if re.match(r"250[ -]OK id=", line) else "no")
            waiting = False
        elif re.match(r"[45]\d\d ", line) and len(tags) == 1 and not finals:
            finals.append("no")
    return {tag: finals[i] if i < len(finals) else "maybe" for i, tag in enumerate(tags)}


def smtp(sender, recipients, tag, mail="", rcpt=""):
    """A transaction with DATA, part by part."""
    return [f"MAIL FROM:<{sender}>{mail}\n", *(f"RCPT TO:<{r}>{rcpt}\n" for r in recipients), "DATA\n",
            text(tag) + ".\n"]


class Smtp(Story):
    """Over stdin, delivered before it ends, or to the daemon."""

    def __init__(self, name, parts, tags, daemon=False, main=""):
        self.name, self.parts, self.tags, self.daemon, self.main = name, parts, tags, daemon, main

    def act(self, e):
        parts = ["EHLO client.test\n", *self.parts, "QUIT\n"]
        if self.daemon:
            out = dialogue(e, parts)
        else:
            joined = "".join(p.decode("latin-1") if isinstance(p, bytes) else p.replace("\n", "\r\n") for p in parts)
            _, out = e.run_group("-odf", "-bs", input=joined)
            out = out.replace("\r\n", "\n")
        bad = [line for line in out.split("\n") if line and not re.match(r"[2345]\d\d[ -]|\d{4}-|exim: ", line)]
        assert not bad or not self.daemon, f"not SMTP: {bad}"
        return answers(out, self.tags)


def bdat(tag):
    whole = text(tag).replace("\n", "\r\n").encode()
    cut = len(whole) // 3
    return [b"BDAT %d\r\n" % cut + whole[:cut], b"BDAT %d LAST\r\n" % (len(whole) - cut) + whole[cut:], "NOOP\n"]


def pipelined(tags):
    out = b""
    for tag in tags:
        out += f"MAIL FROM:<a@here.test>\r\nRCPT TO:<one@here.test>\r\nDATA\r\n{text(tag)}.\r\n".replace("\r\n", "\n") \
            .replace("\n", "\r\n").encode()
    return [out]


class Reports(Smtp):
    """A failure and a success of one message, told in two reports: each once, whatever happens."""

    def check(self, e, taken, window):
        super().check(e, taken, window)
        if taken["reports"] != "yes":
            return
        once = {re.search(r"^Message-Id: (.*)$", t, re.M | re.I)[1]: t for t in e.maildir("mail/a")}
        told = sorted(re.search(r"^Action: (.*)$", t, re.M)[1] for t in once.values())
        assert told == ["delivered", "failed"], f"told: {told}"


class Local(Story):
    """exim -t."""

    name = "submit-t"
    tags = {"sub": ["maildir:one", "maildir:two"]}

    def act(self, e):
        status, _ = e.run_group("-odf", "-t", input=f"To: one@here.test\nCc: two@here.test\n{text('sub')}")
        return {"sub": "yes" if status == 0 else "maybe"}


class Queued(Story):
    """A message waits in the queue; `command` is done to the queue; `places` have it in the end."""

    def __init__(self, name, recipients, places, command, before=(), age=0, daemon=False):
        self.name, self.recipients, self.places, self.command = name, recipients, places, command
        self.before, self.age, self.daemon = before, age, daemon
        self.tags = {"wait": places}

    def prepare(self, e):
        e.run("-odq", "-f", "a@here.test", *self.recipients, input=text("wait"))
        (self.id,) = e.queue()
        for args in self.before:
            e.run(*(a.replace("ID", self.id) for a in args))
        if self.age:
            time.sleep(self.age)

    def act(self, e):
        self.status, self.out = e.run_group(*(a.replace("ID", self.id) for a in self.command))
        return {"wait": "yes"}


class Removed(Queued):
    def check(self, e, taken, window):
        whole = sum(e.copies(p, "wait")[0] for p in self.places)
        assert whole <= len(self.places), "delivered twice"
        if "has been removed" in self.out:
            assert whole == 0, "said to be removed, but delivered"
        else:
            assert whole == len(self.places) or "cancelled" in e.mainlog() or "removed by" in e.mainlog() or \
                "cannot remove" in e.mainlog() or e.control.fault <= 2, "neither removed nor delivered"


class StaysQueued(Queued):
    """The host is down: the message stays, whole; `reports` may have been told."""

    def check(self, e, taken, window):
        listed = e.run("-bp").stdout
        assert self.id in listed, f"not in the queue any more:\n{listed}"
        assert e.run("-Mvb", self.id).stdout.endswith(BODY), "its body is not whole"
        super().check(e, taken, window)


RELAY = ["r1@remote.test", "r2@remote.test", "r3@remote.test"]
MANY = [f"m{n}" for n in range(12)]  # agents have several at a time
AT_SINK = ["sink:r1", "sink:r2", "sink:r3"]


def stories():
    both = [
        ("data", smtp("a@here.test", ["one@here.test", "two@here.test"], "data"),
         {"data": ["maildir:one", "maildir:two"]}, ""),
        ("bdat", ["MAIL FROM:<a@here.test>\n", "RCPT TO:<one@here.test>\n", *bdat("bdat")], {"bdat": ["maildir:one"]}, ""),
        ("pipelining", pipelined(["p1", "p2"]), {"p1": ["maildir:one"], "p2": ["maildir:one"]}, ""),
        ("many", smtp("a@here.test", [f"{n}@here.test" for n in MANY], "many"),
         {"many": [f"maildir:{n}" for n in MANY]}, ""),
        ("mbox", smtp("a@here.test", ["box@mbox.test"], "mbox"), {"mbox": ["mbox:box"]}, ""),
        ("shadow", smtp("a@here.test", ["box@shadow.test"], "shadow"), {"shadow": ["mbox:box"]}, ""),
        ("relay", smtp("a@here.test", RELAY, "relay"), {"relay": AT_SINK}, ""),
        ("relay-each", smtp("a@here.test", RELAY, "each"), {"each": AT_SINK}, "remote_max_parallel = 2\n"),
        ("bounce", smtp("a@here.test", ["x@fail.test", "one@here.test"], "bounce"),
         {"bounce": ["maildir:one", "report:a"]}, ""),
        ("success", smtp("a@here.test", ["one@here.test"], "success", rcpt=" NOTIFY=SUCCESS"),
         {"success": ["maildir:one", "report:a"]}, ""),
    ]
    out = [Smtp(name, parts, tags, main=main) for name, parts, tags, main in both]
    out += [Smtp(f"daemon-{name}", parts, tags, daemon=True, main=main) for name, parts, tags, main in both]
    out[-1].kills = 28  # ten calls in a row once lost the report
    out += [
        Reports("daemon-reports", smtp("a@here.test", ["x@fail.test", "one@here.test"], "reports", rcpt=" NOTIFY=SUCCESS,FAILURE"),
                {"reports": ["maildir:one"]}, daemon=True),
        Local(),
        Queued("queue-run", ["one@here.test", *RELAY], ["maildir:one", *AT_SINK], ["-q"]),
        Queued("freeze", ["one@here.test"], ["maildir:one"], ["-Mf", "ID"]),
        Queued("thaw", ["one@here.test"], ["maildir:one"], ["-Mt", "ID"], before=[("-Mf", "ID")]),
        Removed("remove", ["one@here.test"], ["maildir:one"], ["-Mrm", "ID"]),
        StaysQueued("retry", ["x@down.test", "one@here.test"], ["maildir:one"], ["-qff"]),
        StaysQueued("delay", ["x@down.test"], ["report:a"], ["-qff"], age=2.1),
    ]
    return {s.name: s for s in out}
