"""A strict reader of delivery reports: RFC 3464 ABNF order, RFC 6522 structure. Anything odd is an error."""

import base64
import email
import email.policy
import re

MESSAGE_FIELDS = ["Original-Envelope-Id", "Reporting-MTA", "DSN-Gateway", "Received-From-MTA", "Arrival-Date"]
RECIPIENT_FIELDS = ["Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
                    "Localized-Diagnostic", "Last-Attempt-Date", "Final-Log-ID", "Will-Retry-Until", "SMTP-Remote-Recipient"]


class Report:
    def __init__(self, text):
        self.text = text
        assert all(len(line) <= 998 for line in text.split("\n")), "a line is longer than 998"
        self.message = email.message_from_string(text, policy=email.policy.compat32)
        m = self.message
        assert m.get_content_type() == "multipart/report", m.get_content_type()
        assert m.get_param("report-type") in ("delivery-status", "global-delivery-status")
        assert m["Auto-Submitted"] in ("auto-generated", "auto-replied")
        assert m["Return-path"] in (None, "<>") and m["MIME-Version"] == "1.0"
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text.split("Content-type:")[0]), "control characters in the header"
        parts = m.get_payload()
        assert len(parts) == 3, len(parts)
        for n, part in enumerate(parts):
            self._check_encoding(n, part)
        self.human = self._decoded(0, parts[0])
        self.language = parts[0]["Content-Language"]
        assert parts[0].get_content_type() == "text/plain"
        assert parts[1].get_content_type() in ("message/delivery-status", "message/global-delivery-status")
        self.returned_type = parts[2].get_content_type()
        assert self.returned_type in ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")
        self.returned = self._decoded(2, parts[2])
        self.status_type = parts[1].get_content_type()
        self.seven_bit = all(part["Content-Transfer-Encoding"] != "8bit" for part in parts)
        assert (m.get_param("report-type") == "global-delivery-status") == (self.status_type == "message/global-delivery-status")
        groups = [g for g in re.split(r"\n[ \t]*\n", self._raw_part(1).strip("\n")) if g.strip()]
        self.fields = self._group(groups[0], MESSAGE_FIELDS)
        assert "Reporting-MTA" in self.fields
        self.recipients = [self._group(g, RECIPIENT_FIELDS) for g in groups[1:]]
        assert self.recipients
        for r in self.recipients:
            for needed in ("Final-Recipient", "Action", "Status"):
                assert needed in r, r
            assert r["Action"] in ("failed", "delayed", "delivered", "relayed", "expanded"), r
            assert re.fullmatch(r"[245]\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})", r["Status"]), r
            assert ("Will-Retry-Until" in r) <= (r["Action"] == "delayed")
            assert ("Localized-Diagnostic" in r) <= ("Diagnostic-Code" in r)
            assert re.match(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*; \S", r.get("Localized-Diagnostic", "de; x")), r
            assert ("SMTP-Remote-Recipient" in r) <= ("Remote-MTA" in r and r["Action"] in ("failed", "delayed")), r

    def _check_encoding(self, n, part):
        encoding, raw = part["Content-Transfer-Encoding"], self._raw_part(n)
        assert encoding in (None, "8bit", "base64"), encoding
        assert encoding == "8bit" or raw.isascii(), f"part {n + 1} is not ASCII, but does not say so"
        assert encoding != "base64" or n != 1, "the machine-readable part is encoded"
        if n == 1:
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", raw), "control characters in the machine-readable part"
            assert part.get_content_type() == "message/global-delivery-status" or raw.isascii()

    def _decoded(self, n, part):
        raw = self._raw_part(n)
        if part["Content-Transfer-Encoding"] == "base64":
            return base64.b64decode(raw).decode("utf-8", "surrogateescape")
        return raw

    def _raw_part(self, n):
        boundary = "--" + self.message.get_param("boundary")
        body = self.text.split("\n" + boundary)[1 + n]
        return body.split("\n\n", 1)[1] if "\n\n" in body else ""

    @staticmethod
    def _group(text, order):
        fields, names = {}, []
        for line in re.sub(r"\n[ \t]+", " ", text).split("\n"):
            m = re.fullmatch(r"([A-Za-z-]+): (.*)", line)
            assert m, f"not a field: {line!r}"
            assert m[1] not in fields, f"twice: {m[1]}"
            assert m[1] in order or m[1].startswith("X-"), f"unknown field {m[1]}"
            fields[m[1]] = m[2]
            names.append(m[1])
        known = [n for n in names if n in order]
        assert known == sorted(known, key=order.index), f"not in the order of the RFC: {known}"
        return fields

    def one(self, address):
        """The group of one final recipient."""
        found = [r for r in self.recipients if r["Final-Recipient"].split(";", 1)[1].strip() == address]
        assert len(found) == 1, f"{address}: {self.recipients}"
        return found[0]
