"""A network of a test's own, where any port is free: root can make one, for a thread and what it starts."""

import ctypes
import fcntl
import socket
import struct
import threading

CLONE_NEWNET, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x8913, 0x8914, 1


def _loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags = struct.unpack("16xH", fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sH14x", b"lo", 0))[:18])[0]
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def run(body, *args):
    """body(own, *args) in a thread with a network of its own; own is False where there is none to be had. Processes and
    threads that body starts are in it too."""
    raised = []

    def thread():
        try:
            own = ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) == 0
            if own:
                _loopback_up()
            body(own, *args)
        except BaseException as e:  # pytest's skip is not an Exception
            raised.append(e)

    t = threading.Thread(target=thread)
    t.start()
    t.join()
    if raised:
        raise raised[0]
