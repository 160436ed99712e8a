"""A listening socket on loopback and the thread that takes its connections."""

import socket
import threading


def end(sock, thread):
    """Closes a socket that a thread reads or accepts from. The thread ends first: it would go on with whoever gets the
    number of the descriptor next."""
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:  # a datagram socket is not connected, but its reader wakes
        pass
    thread.join(10)
    sock.close()


class Listener:
    """serve(connection), one after the other, in a thread; serve may raise OSError or EOFError: the connection is closed."""

    def __init__(self, serve, port=0, sock=None):
        self.serve = serve
        self.sock = sock or socket.create_server(("127.0.0.1", port), backlog=64)
        if self.sock.family == socket.AF_INET:
            self.port = self.sock.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            try:
                self.serve(sock)
            except (OSError, EOFError):
                sock.close()

    def close(self):
        if self.sock.fileno() >= 0:
            end(self.sock, self.thread)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
