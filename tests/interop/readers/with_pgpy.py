"""PGPy as a program: makes a key, and reads a message with it.

make KIND NAME ADDRESS KEY CERTIFICATE
read KEY SENDER MESSAGE PLAINTEXT NOW    prints "verified", or why the signature was not
"""

import sys
import warnings
from pathlib import Path

# PGPy speaks of algorithms that its own dependency is about to drop.
warnings.simplefilter("ignore")

import pgpy
from pgpy.constants import (
    CompressionAlgorithm,
    EllipticCurveOID,
    HashAlgorithm,
    KeyFlags,
    PubKeyAlgorithm,
    SymmetricKeyAlgorithm,
)

KINDS = {
    "RSA 2048": ((PubKeyAlgorithm.RSAEncryptOrSign, 2048),) * 2,
    "RSA 3072": ((PubKeyAlgorithm.RSAEncryptOrSign, 3072),) * 2,
    "Cv25519": (
        (PubKeyAlgorithm.EdDSA, EllipticCurveOID.Ed25519),
        (PubKeyAlgorithm.ECDH, EllipticCurveOID.Curve25519),
    ),
    "P-256": (
        (PubKeyAlgorithm.ECDSA, EllipticCurveOID.NIST_P256),
        (PubKeyAlgorithm.ECDH, EllipticCurveOID.NIST_P256),
    ),
    "P-384": (
        (PubKeyAlgorithm.ECDSA, EllipticCurveOID.NIST_P384),
        (PubKeyAlgorithm.ECDH, EllipticCurveOID.NIST_P384),
    ),
    "P-521": (
        (PubKeyAlgorithm.ECDSA, EllipticCurveOID.NIST_P521),
        (PubKeyAlgorithm.ECDH, EllipticCurveOID.NIST_P521),
    ),
}


def make(kind, name, address, key, certificate):
    signing, encrypting = KINDS[kind]
    made = pgpy.PGPKey.new(*signing)
    made.add_uid(
        pgpy.PGPUID.new(name, email=address),
        usage={KeyFlags.Certify, KeyFlags.Sign},
        hashes=[HashAlgorithm.SHA512, HashAlgorithm.SHA256],
        ciphers=[SymmetricKeyAlgorithm.AES256],
        compression=[CompressionAlgorithm.ZIP, CompressionAlgorithm.Uncompressed],
    )
    made.add_subkey(
        pgpy.PGPKey.new(*encrypting), usage={KeyFlags.EncryptCommunications, KeyFlags.EncryptStorage}
    )
    Path(key).write_text(str(made))
    Path(certificate).write_text(str(made.pubkey))


def read(key, sender, message, plaintext, _now):
    own, _ = pgpy.PGPKey.from_file(key)
    known, _ = pgpy.PGPKey.from_file(sender)
    opened = own.decrypt(pgpy.PGPMessage.from_file(message))
    content = opened.message
    Path(plaintext).write_bytes(content.encode("latin-1") if isinstance(content, str) else bytes(content))
    try:
        print("verified" if known.verify(opened) else "the signature is bad")
    except Exception as error:  # Whatever it is, it is the answer.
        print("%s: %s" % (type(error).__name__, error))


if __name__ == "__main__":
    if sys.argv[1] == "version":
        from importlib.metadata import version

        print("PGPy", version("PGPy"))
    else:
        {"make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
