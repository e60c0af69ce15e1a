"""Walks the packets of an OpenPGP message or certificate, as far as their headers and whom they name.

It decrypts nothing and knows no product: what it says about a message does not rest on any OpenPGP library.
"""

import base64
import hashlib
from dataclasses import dataclass

PKESK = 1
PUBLIC_KEY = 6
PUBLIC_SUBKEY = 14
SEIPD = 18


@dataclass(frozen=True)
class Packet:
    """A packet: its type number and its body, partial lengths joined."""

    tag: int
    body: bytes


class Malformed(ValueError):
    """Bytes that are no sequence of packets."""


def dearmor(armored):
    """The bytes inside ASCII armor; binary data comes back as it is."""
    if armored[:1] and armored[0] & 0x80:
        return armored
    # A line that begins with "=" is the checksum.
    return base64.b64decode(b"".join(line for line in _body(armored) if not line.startswith(b"=")), validate=True)


def has_checksum(armored):
    """Whether the armor ends with a checksum line."""
    return any(line.startswith(b"=") for line in _body(armored))


def _body(armored):
    lines = armored.replace(b"\r\n", b"\n").split(b"\n")
    begin = next((at for at, line in enumerate(lines) if line.startswith(b"-----BEGIN PGP ")), None)
    if begin is None:
        raise Malformed("neither armor nor packets: %r" % armored[:60])
    end = next((at for at, line in enumerate(lines) if line.startswith(b"-----END PGP ")), None)
    if end is None:
        raise Malformed("the armor does not end")
    return lines[lines.index(b"", begin) + 1 : end]


def walk(data):
    """The packets of `data`, in their order, down to the last byte."""
    packets = []
    at = 0
    while at < len(data):
        header = data[at]
        at += 1
        if not header & 0x80:
            raise Malformed("byte %d is no packet header" % (at - 1))
        if header & 0x40:
            body, at = _new_body(data, at)
            packets.append(Packet(header & 0x3F, body))
        else:
            width = header & 3
            if width == 3:
                body, at = data[at:], len(data)
            else:
                octets = 1 << width
                length = int.from_bytes(data[at : at + octets], "big")
                body, at = _take(data, at + octets, length)
            packets.append(Packet((header >> 2) & 0x0F, body))
    return packets


def _take(data, at, length):
    if at + length > len(data):
        raise Malformed("a packet of %d bytes is cut off" % length)
    return data[at : at + length], at + length


def _new_body(data, at):
    body = b""
    while True:
        first = data[at]
        if first < 192:
            piece, at = _take(data, at + 1, first)
            return body + piece, at
        if first < 224:
            piece, at = _take(data, at + 2, ((first - 192) << 8) + data[at + 1] + 192)
            return body + piece, at
        if first == 255:
            piece, at = _take(data, at + 5, int.from_bytes(data[at + 1 : at + 5], "big"))
            return body + piece, at
        piece, at = _take(data, at + 1, 1 << (first & 0x1F))
        body += piece


def fingerprints(certificate):
    """The fingerprints of all keys in a certificate, primary first, as upper-case hex digits."""
    found = []
    for packet in walk(dearmor(certificate)):
        if packet.tag in (PUBLIC_KEY, PUBLIC_SUBKEY):
            body = packet.body
            if body[0] == 6:
                digest = hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body)
            else:
                digest = hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body)
            found.append(digest.hexdigest().upper())
    return found


@dataclass(frozen=True)
class Recipient:
    """Whom a session key packet is for: its version, and the key id (version 3) or fingerprint (version 6)."""

    version: int
    key: str

    def is_of(self, fingerprint):
        """Whether `fingerprint` is the key that this names."""
        if self.version == 6:
            return fingerprint == self.key
        # A key id is the end of a v4 fingerprint, the beginning of a v6 one.
        return (fingerprint[-16:] if len(fingerprint) == 40 else fingerprint[:16]) == self.key


@dataclass(frozen=True)
class Message:
    """The outside of an encrypted message: the recipients' packets, then one container and nothing else."""

    recipients: tuple
    container: int
    sealed: bytes

    @property
    def pkesk(self):
        return sorted({recipient.version for recipient in self.recipients})


def message(ciphertext):
    """What stands outside of an encrypted message, armored or not."""
    packets = walk(dearmor(ciphertext))
    tags = [packet.tag for packet in packets]
    if len(tags) < 2 or tags[-1] != SEIPD or set(tags[:-1]) != {PKESK}:
        raise Malformed("expected session key packets and one container, found packets of types %s" % tags)
    recipients = []
    for packet in packets[:-1]:
        body = packet.body
        if body[0] == 3:
            recipients.append(Recipient(3, body[1:9].hex().upper()))
        elif body[0] == 6:
            # One octet of length, one of key version, then the fingerprint; an anonymous recipient has length 0.
            recipients.append(Recipient(6, body[3 : 2 + body[1]].hex().upper()))
        else:
            raise Malformed("a session key packet of version %d" % body[0])
    return Message(tuple(recipients), packets[-1].body[0], packets[-1].body)
