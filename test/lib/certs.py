"""Certificates for tests, made with the openssl program: authorities, leaves, revocation lists."""

import os
import ssl
import subprocess
from pathlib import Path


def _openssl(*args, cwd):
    p = subprocess.run(["openssl", *map(str, args)], cwd=cwd, capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    return p.stdout


class Authority:
    """A CA in a folder of its own; `parent` makes it an intermediate one."""

    def __init__(self, folder, name, parent=None, extensions=()):
        self.dir, self.name, self.parent, self.serial = Path(folder) / name, name, parent, 1
        self.dir.mkdir(parents=True)
        for place in (self.dir, *self.dir.parents):  # the server under test may be another user
            if str(place).startswith("/tmp/") and place.stat().st_uid == os.geteuid():
                place.chmod(place.stat().st_mode | 0o055)
        self.cert, self.key = self.dir / "ca.pem", self.dir / "ca.key"
        self._make("ca", f"/O=test/CN={name}", parent or self,
                   ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign",
                    "subjectKeyIdentifier=hash", *extensions], 3650)
        (self.dir / "index.txt").touch()
        (self.dir / "crlnumber").write_text("01\n")

    def _make(self, stem, subject, issuer, extensions, days, start=None):
        key, csr, cert = (self.dir / f"{stem}.{x}" for x in ("key", "csr", "pem"))
        _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key, cwd=self.dir)
        _openssl("req", "-new", "-key", key, "-subj", subject, "-out", csr, cwd=self.dir)
        ext = self.dir / f"{stem}.ext"
        ext.write_text("\n".join(extensions) + "\n")
        issuer.serial += 1
        common = ["-extfile", ext, "-in", csr, "-out", cert, "-set_serial", issuer.serial]
        if issuer is self and stem == "ca":
            _openssl("x509", "-req", "-signkey", key, "-days", days, *common, cwd=self.dir)
        elif days < 0:  # expired: openssl x509 takes negative days
            _openssl("x509", "-req", "-CA", issuer.cert, "-CAkey", issuer.key, "-days", days, *common, cwd=self.dir)
        else:
            _openssl("x509", "-req", "-CA", issuer.cert, "-CAkey", issuer.key, "-days", days, *common, cwd=self.dir)
        return cert, key

    def leaf(self, stem, names=(), cn=None, days=30, extensions=(), chain=True):
        """A server certificate; names are DNS names, or "IP:1.2.3.4". The file holds the chain and the key."""
        san = ",".join(n if ":" in n else f"DNS:{n}" for n in names)
        lines = ["basicConstraints=CA:FALSE", *extensions]
        if san:
            lines.append(f"subjectAltName={'critical,' if not cn else ''}{san}")
        cert, key = self._make(stem, f"/CN={cn}" if cn else "/", self, lines, days)
        text = cert.read_text()
        if chain and self.parent:
            text += self.cert.read_text()
        both = self.dir / f"{stem}.both.pem"
        both.write_text(text + key.read_text())
        return both

    def crl(self, *revoked):
        """A CRL that lists those certificates."""
        conf = self.dir / "crl.cnf"
        conf.write_text("[ca]\ndefault_ca=c\n[c]\n"
                        f"database={self.dir}/index.txt\ncrlnumber={self.dir}/crlnumber\n"
                        f"certificate={self.cert}\nprivate_key={self.key}\n"
                        "default_md=sha256\ndefault_crl_days=30\n")
        for cert in revoked:
            _openssl("ca", "-config", conf, "-revoke", cert, cwd=self.dir)
        out = self.dir / "crl.pem"
        _openssl("ca", "-config", conf, "-gencrl", "-out", out, cwd=self.dir)
        return out


def server_context(both, **changes):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    for name, value in changes.items():
        setattr(context, name, value)
    return context
