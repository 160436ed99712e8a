"""An authoritative DNS server on loopback for the zones of one test (no signing)."""

import socket
import threading

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from listener import Listener, end


class DnsServer:
    """records: {"name": [("A", "127.0.0.1"), ("MX", "10 mx.test.")]}; a name in `broken` gives SERVFAIL."""

    def __init__(self, records, broken=(), ad=False):
        self.records = {k.lower().rstrip("."): v for k, v in records.items()}
        self.broken = {b.lower().rstrip(".") for b in broken}
        self.ad = ad
        self.queries = []
        while True:  # one port that is free for both
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind(("127.0.0.1", 0))
            self.port = self.sock.getsockname()[1]
            try:
                self.tcp = Listener(self._tcp, self.port)
                break
            except OSError:
                self.sock.close()
        self.udp = threading.Thread(target=self._udp, daemon=True)
        self.udp.start()

    def _udp(self):
        try:
            while True:
                data, peer = self.sock.recvfrom(4096)
                if not data:
                    return
                self.sock.sendto(self.answer(data), peer)
        except OSError:
            return

    def _tcp(self, peer):
        with peer:
            head = peer.recv(2)
            if len(head) == 2:
                answer = self.answer(peer.recv(int.from_bytes(head, "big")))
                peer.sendall(len(answer).to_bytes(2, "big") + answer)

    def answer(self, data):
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AA
        if self.ad:
            reply.flags |= dns.flags.AD
        q = query.question[0]
        name = q.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(q.rdtype)
        self.queries.append((name, kind))
        if name in self.broken:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply.to_wire()
        self._add(reply, name, kind, 0)
        return reply.to_wire()

    def _add(self, reply, name, kind, depth):
        found = self.records.get(name)
        if found is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
            return
        for rtype, value in found:
            if rtype in (kind, "CNAME"):
                reply.answer.append(dns.rrset.from_text(name + ".", 300, "IN", rtype, value))
            if rtype == "CNAME" and kind != "CNAME" and depth < 8:
                self._add(reply, value.rstrip(".").lower(), kind, depth + 1)

    def close(self):
        end(self.sock, self.udp)
        self.tcp.close()
