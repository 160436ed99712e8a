"""An SMTP (or LMTP) server that records what it gets and answers as it is told."""

import os
import socket
import threading

from listener import Listener


class Sink:
    """extensions: EHLO lines. answers: {"RCPT": fn(argument) -> reply} or {"DATA.": "451 no"}."""

    def __init__(self, extensions=("PIPELINING", "8BITMIME", "SIZE"), answers=None, lmtp=False, ehlo=True,
                 context=None, name="sink.test", path=None):
        self.extensions, self.answers, self.lmtp, self.ehlo = list(extensions), answers or {}, lmtp, ehlo
        self.context, self.name = context, name
        self.messages, self.commands, self.connections = [], [], 0
        named = None
        if path:  # a socket with a name
            named = socket.socket(socket.AF_UNIX)
            named.bind(str(path))
            os.chmod(path, 0o666)
            named.listen(64)
        self.listener = Listener(self._begin, sock=named)
        if not path:
            self.port = self.listener.port

    def _begin(self, sock):
        self.connections += 1
        threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _say(self, verb, argument, default):
        answer = self.answers.get(verb, default)
        return answer(argument) if callable(answer) else answer

    def _serve(self, sock):
        try:
            self._session(sock)
        except (OSError, ValueError):
            pass
        finally:
            sock.close()

    def _session(self, sock):
        stream = sock.makefile("rwb")
        envelope = None

        def say(text):
            stream.write(("\r\n".join(text.split("\n")) + "\r\n").encode())
            stream.flush()

        say(self._say("CONNECT", "", f"220 {self.name} ESMTP"))
        while True:
            line = stream.readline()
            if not line:
                return
            command = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
            self.commands.append(command)
            verb = command.split(" ")[0].upper()
            if verb in ("EHLO", "LHLO") and self.ehlo:
                lines = [self.name, *self.extensions]
                say("\n".join(f"250{'-' if i < len(lines) - 1 else ' '}{t}" for i, t in enumerate(lines)))
            elif verb in ("HELO",):
                say(f"250 {self.name}")
            elif verb in ("EHLO", "LHLO"):
                say("500 unknown command")
            elif verb == "STARTTLS" and self.context:
                say("220 go ahead")
                sock = self.context.wrap_socket(sock, server_side=True)
                stream = sock.makefile("rwb")
            elif verb == "MAIL":
                envelope = {"mail": command, "rcpt": []}
                say(self._say("MAIL", command, "250 OK"))
            elif verb == "RCPT":
                answer = self._say("RCPT", command, "250 OK")
                if answer.startswith("2"):
                    envelope["rcpt"].append(command)
                say(answer)
            elif verb == "DATA":
                answer = self._say("DATA", command, "354 go on" if envelope and envelope["rcpt"] else "503 no")
                say(answer)
                if answer.startswith("3"):
                    self._data(stream, envelope, say)
            elif verb == "BDAT":
                size = int(command.split()[1])
                envelope["data"] = envelope.get("data", b"") + stream.read(size)
                if command.upper().endswith("LAST"):
                    self.messages.append(envelope)
                say(self._say("BDAT", command, "250 OK"))
            elif verb == "QUIT":
                say(f"221 {self.name} closing connection")
                return
            elif verb in ("RSET", "NOOP"):
                envelope = None if verb == "RSET" else envelope
                say("250 OK")
            else:
                say(self._say(verb, command, "500 unknown command"))

    def _data(self, stream, envelope, say):
        data = b""
        while True:
            line = stream.readline()
            if not line:
                return
            if line == b".\r\n":
                break
            data += line[1:] if line.startswith(b".") else line
        envelope = dict(envelope, data=data)
        answers = []
        for r in envelope["rcpt"] if self.lmtp else [""]:
            answers.append(self._say("DATA.", r, "250 OK id=sunk"))
        if any(a.startswith("2") for a in answers):
            self.messages.append(envelope)
        for a in answers:
            say(a)

    def close(self):
        self.listener.close()
