"""A zone that is really signed, and a resolver on loopback that really validates it: ldns, NSD and Unbound."""

import subprocess
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query

from exim import free_port, wait_until

NSD = """
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  xfrdfile: "{dir}/xfrd.state"
  zonelistfile: "{dir}/zone.list"
  xfrdir: "{dir}"
  server-count: 1
remote-control:
  control-enable: no
"""
UNBOUND = """
server:
  interface: {interface}@{port}
  access-control: 0.0.0.0/0 allow
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: "{dir}/unbound.pid"
  use-syslog: no
  logfile: ""
  do-ip6: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  num-threads: 1
  local-zone: "test." nodefault
  trust-anchor-file: "{dir}/anchors"
remote-control:
  control-enable: no
"""


class SignedZones:
    """zones: {"out.test": ["mx A 127.0.0.1", ...]}; those in `unsigned` stay so. `spoil`: text of a record (by zone) that is
    changed after it was signed."""

    def __init__(self, folder, zones, unsigned=(), spoil=None, interface="127.0.0.1"):
        self.dir, self.processes = Path(folder), []
        self.dir.mkdir(parents=True)
        self.nsd_port, self.port, self.interface = free_port(), free_port(), interface
        nsd = NSD.format(port=self.nsd_port, dir=self.dir)
        unbound = UNBOUND.format(port=self.port, dir=self.dir, interface=interface)
        anchors = ""
        for name, records in zones.items():
            file = self._write(name, records)
            if name not in unsigned:
                file, anchor = self._sign(name, file)
                anchors += anchor
            if spoil and name in spoil:
                old, new = spoil[name]
                assert old in file.read_text()
                file.write_text(file.read_text().replace(old, new, 1))
            nsd += f'zone:\n  name: "{name}"\n  zonefile: "{file.name}"\n'
            unbound += f'stub-zone:\n  name: "{name}."\n  stub-addr: 127.0.0.1@{self.nsd_port}\n'
        (self.dir / "anchors").write_text(anchors)
        self._start("nsd", nsd, "-d", "-c")
        self._start("unbound", unbound, "-d", "-c")
        first = next(iter(zones))
        wait_until(lambda: self._answers(self.nsd_port, first, "127.0.0.1") and self._answers(self.port, first, interface))

    def _write(self, name, records):
        file = self.dir / f"{name}.zone"
        lines = [f"$ORIGIN {name}.", "$TTL 300", f"@ IN SOA ns.{name}. root.{name}. 1 3600 600 86400 300", f"@ IN NS ns.{name}.",
                 "ns IN A 127.0.0.1", *records]
        file.write_text("\n".join(lines) + "\n")
        return file

    def _run(self, *args):
        return subprocess.run([str(a) for a in args], cwd=self.dir, capture_output=True, text=True, check=True).stdout.strip()

    def _sign(self, name, file):
        ksk = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "-r", "/dev/urandom", name)
        zsk = self._run("ldns-keygen", "-a", "ECDSAP256SHA256", "-r", "/dev/urandom", name)
        self._run("ldns-signzone", "-n", file.name, ksk, zsk)
        return file.with_name(file.name + ".signed"), (self.dir / f"{ksk}.key").read_text()

    def _start(self, program, config, *args):
        path = self.dir / f"{program}.conf"
        path.write_text(config)
        self.processes.append(subprocess.Popen([f"/usr/sbin/{program}", *args, path], stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=open(self.dir / f"{program}.log", "w")))

    @staticmethod
    def _answers(port, name, address):
        try:
            return dns.query.udp(dns.message.make_query(name, "SOA"), address, timeout=1, port=port)
        except (dns.exception.Timeout, OSError):
            return None

    def ask(self, name, kind):
        """The answer of the resolver: (rcode, is it validated)."""
        query = dns.message.make_query(name, kind, want_dnssec=True)
        query.flags |= dns.flags.AD
        reply = dns.query.udp(query, self.interface, timeout=5, port=self.port)
        return reply.rcode(), bool(reply.flags & dns.flags.AD)

    def close(self):
        for p in self.processes:
            p.terminate()
        for p in self.processes:
            p.wait(20)
