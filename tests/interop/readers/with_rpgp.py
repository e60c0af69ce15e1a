"""rPGP as a program: makes a key, and reads a message with it.

make KIND NAME ADDRESS KEY CERTIFICATE
read KEY SENDER MESSAGE PLAINTEXT NOW    prints "verified", or why the signature was not
"""

import sys
from importlib.metadata import version
from pathlib import Path

from openpgp.composed import (
    EncryptionCaps,
    KeyType,
    Message,
    SecretKeyParamsBuilder,
    SignedPublicKey,
    SignedSecretKey,
    SubkeyParamsBuilder,
)

KINDS = {
    "Cv25519": (4, KeyType.ed25519_legacy(), KeyType.ecdh("curve25519")),
    "X25519 v4": (4, KeyType.ed25519(), KeyType.x25519()),
    "X25519 v6": (6, KeyType.ed25519(), KeyType.x25519()),
    "P-256 v6": (6, KeyType.ecdsa("p256"), KeyType.ecdh("p256")),
}


def make(kind, name, address, key, certificate):
    version_of_key, signing, encrypting = KINDS[kind]
    made = (
        SecretKeyParamsBuilder()
        .version(version_of_key)
        .key_type(signing)
        .can_certify(True)
        .can_sign(True)
        .primary_user_id("%s <%s>" % (name, address))
        .feature_seipd_v1(True)
        .feature_seipd_v2(version_of_key == 6)
        .preferred_symmetric_algorithms(["aes256"])
        .preferred_hash_algorithms(["sha512", "sha256"])
        .subkey(
            SubkeyParamsBuilder()
            .version(version_of_key)
            .key_type(encrypting)
            .can_encrypt(EncryptionCaps.all())
            .build()
        )
        .generate()
    )
    Path(key).write_text(made.to_armored())
    Path(certificate).write_text(made.to_public_key().to_armored())


def read(key, sender, message, plaintext, _now):
    own, _ = SignedSecretKey.from_armor(Path(key).read_text())
    known, _ = SignedPublicKey.from_armor(Path(sender).read_text())
    armored, _ = Message.from_armor(Path(message).read_text())
    opened = armored.decrypt(None, own)
    Path(plaintext).write_bytes(opened.as_data_vec())
    try:
        opened.verify(known)
        print("verified")
    except Exception as error:  # Whatever it is, it is the answer.
        print(error)


if __name__ == "__main__":
    if sys.argv[1] == "version":
        print("rPGP", version("rpgp-py"))
    else:
        {"make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
