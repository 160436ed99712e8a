"""Between swaks (--pipe) and a server: adds NOTIFY to RCPT, for which swaks has no option."""

import socket
import sys
import threading

host, port, source, notify = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
sock = socket.create_connection((host, port), 30, source_address=(source, 0))


def replies():
    while True:
        data = sock.recv(65536)
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


threading.Thread(target=replies, daemon=True).start()
for line in sys.stdin.buffer:
    if line.upper().startswith(b"RCPT TO:"):
        line = line.rstrip() + b" NOTIFY=" + notify.encode() + b"\r\n"
    sock.sendall(line)
sock.settimeout(5)
sock.close()
