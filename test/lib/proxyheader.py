"""PROXY protocol headers as bytes, for tests that play the balancer."""

import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(src="192.0.2.7", dst="192.0.2.8", sport=4444, dport=25, family="TCP4"):
    return f"PROXY {family} {src} {dst} {sport} {dport}\r\n".encode()


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def v2(src="192.0.2.7", dst="192.0.2.8", sport=4444, dport=25, tlvs=b"", command=1, family=None, block=None, crc=False):
    six = ":" in src
    kind = socket.AF_INET6 if six else socket.AF_INET
    if block is None:
        block = socket.inet_pton(kind, src) + socket.inet_pton(kind, dst) + struct.pack("!HH", sport, dport)
    if family is None:
        family = 0x21 if six else 0x11
    if crc:
        tlvs += tlv(3, b"\0\0\0\0")
    header = SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(block) + len(tlvs)) + block + tlvs
    if crc:
        header = header[:-4] + struct.pack("!I", crc32c(header))
    return header


def local(block=b""):
    return v2(command=0, family=0, block=block)
