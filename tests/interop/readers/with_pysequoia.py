"""pysequoia (a current Sequoia) as a program: makes a key, and reads a message with it.

make KIND NAME ADDRESS KEY CERTIFICATE
read KEY SENDER MESSAGE PLAINTEXT NOW    prints "verified", or why the signature was not
"""

import sys
from importlib.metadata import version
from pathlib import Path

from pysequoia import Cert, CipherSuite, Profile, Tsk, decrypt

KINDS = {
    "Cv25519 SEIPDv2": (Profile.RFC4880, CipherSuite.Cv25519),
    "P-384 SEIPDv2": (Profile.RFC4880, CipherSuite.P384),
    "RSA 3072 SEIPDv2": (Profile.RFC4880, CipherSuite.RSA3k),
    "X448 v4": (Profile.RFC4880, CipherSuite.Cv448),
    "X25519 v6": (Profile.RFC9580, CipherSuite.Cv25519),
    "P-521 v6": (Profile.RFC9580, CipherSuite.P521),
    "RSA 3072 v6": (Profile.RFC9580, CipherSuite.RSA3k),
}


def make(kind, name, address, key, certificate):
    profile, suite = KINDS[kind]
    made = Tsk.generate(user_id="%s <%s>" % (name, address), profile=profile, cipher_suite=suite)
    Path(key).write_text(str(made))
    Path(certificate).write_text(str(made.extract_certificate()))


def read(key, sender, message, plaintext, _now):
    known = Cert.from_file(sender)
    sealed = Path(message).read_bytes()
    decryptor = Tsk.from_file(key).decryptor()
    Path(plaintext).write_bytes(decrypt(sealed, decryptor=decryptor).bytes)
    try:
        opened = decrypt(sealed, decryptor=decryptor, store=lambda _wanted: [known])
    except Exception as error:  # Whatever it is, it is the answer; a backtrace may follow the first line.
        print(str(error).splitlines()[0])
        return
    good = [signature.certificate for signature in opened.valid_sigs]
    print("verified" if good == [known.fingerprint] else "good signatures are of %s" % good)


if __name__ == "__main__":
    if sys.argv[1] == "version":
        print("pysequoia", version("pysequoia"))
    else:
        {"make": make, "read": read}[sys.argv[1]](*sys.argv[2:])
