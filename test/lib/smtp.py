"""A plain SMTP conversation, line by line, over a real socket."""

import socket
import ssl


class Smtp:
    def __init__(self, port, host="127.0.0.1", source=None, before=b"", timeout=30, greet=True):
        self.sock = socket.create_connection((host, port), timeout, source_address=source)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if before:
            self.sock.sendall(before)
        self.banner = self.reply() if greet else None

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode())

    def line(self):
        while b"\n" not in self.buffer:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError(self.buffer)
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "surrogateescape")

    def reply(self):
        """All lines of one reply, joined by newlines."""
        lines = [self.line()]
        while lines[-1][3:4] == "-":
            lines.append(self.line())
        return "\n".join(lines)

    def cmd(self, command):
        self.send(command + "\r\n" if isinstance(command, str) else command + b"\r\n")
        return self.reply()

    def ok(self, command, code="2"):
        got = self.cmd(command)
        assert got.startswith(code), f"{command}: {got}"
        return got

    def starttls(self, context=None):
        self.ok("STARTTLS")
        self.starttls_now(context)

    def starttls_now(self, context=None):
        """The handshake, after the server has agreed to it."""
        if context is None:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self.sock = context.wrap_socket(self.sock, server_hostname="mail.here.test")

    def message(self, sender, recipients, text="Subject: test\r\n\r\nbody\r\n", mail="", rcpt=""):
        """MAIL, RCPTs and DATA; the reply to the final dot."""
        self.ok(f"MAIL FROM:<{sender}>{mail}")
        for r in recipients:
            self.ok(f"RCPT TO:<{r}>{rcpt}")
        self.ok("DATA", "3")
        self.send(text)
        return self.ok(".")

    def eof(self):
        """Nothing more comes."""
        return self.buffer == b"" and self.sock.recv(1) == b""

    def quit(self):
        got = self.cmd("QUIT")
        self.sock.close()
        return got

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.sock.close()
