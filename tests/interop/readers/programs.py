"""The OpenPGP programs that packagers hold their keys with: each makes a key here, and reads a message with it.

A message counts as read only when the bytes come out; whether the program also verified the signature is told apart,
because some cannot. The server's part is not known here.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from packets import fingerprints

HERE = Path(__file__).resolve().parent
# Seconds for one call of one program. Generous: it only bounds how long a failure takes.
PATIENCE = 120


class Failed(Exception):
    """A program ended with an error; says which and the end of what it printed."""


@dataclass(frozen=True)
class Opened:
    """What a program made of a message: the bytes, and `verified` or what it said about the signature instead."""

    plaintext: bytes
    verified: bool
    remark: str


def run(command, stdin=b"", environment=None):
    """Runs a program and gives its standard output; fails with its own words."""
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, timeout=PATIENCE, env={**os.environ, **(environment or {})}
        )
    except subprocess.TimeoutExpired:
        raise Failed("%s: not done after %d s" % (Path(str(command[0])).name, PATIENCE)) from None
    except FileNotFoundError:
        raise Failed("%s: not installed; .ci/run names what is missing" % command[0]) from None
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines() or ["no word"]
        raise Failed("%s: exit code %d: %s" % (Path(str(command[0])).name, done.returncode, " / ".join(words[:3])))
    return done


@dataclass(frozen=True)
class Desk:
    """One packager's place: where the program keeps its key, whose key it is, and the clock it goes by."""

    directory: Path
    name: str
    address: str

    @property
    def user_id(self):
        return "%s <%s>" % (self.name, self.address)

    @property
    def key(self):
        return self.directory / "key"

    @property
    def certificate(self):
        return self.directory / "certificate.asc"

    def store(self, name, content):
        path = self.directory / name
        path.write_bytes(content)
        return path


class Gpg:
    """GnuPG 2.2, with a keyring for each key."""

    # Key and subkey, as gpg names them.
    ALGORITHMS = {
        "RSA": ("Key-Type: RSA\nKey-Length: {0}", "Subkey-Type: RSA\nSubkey-Length: {0}"),
        "P": ("Key-Type: ECDSA\nKey-Curve: nistp{0}", "Subkey-Type: ECDH\nSubkey-Curve: nistp{0}"),
        "brainpoolP256r1": (
            "Key-Type: ECDSA\nKey-Curve: brainpoolP256r1",
            "Subkey-Type: ECDH\nSubkey-Curve: brainpoolP256r1",
        ),
        "Cv25519": ("Key-Type: EDDSA\nKey-Curve: ed25519", "Subkey-Type: ECDH\nSubkey-Curve: cv25519"),
    }
    homes = []

    def version(self):
        return run(["gpg", "--version"]).stdout.decode().splitlines()[0]

    def gpg(self, desk, *arguments, stdin=b""):
        home = desk.directory / "gnupg"
        if not home.exists():
            home.mkdir(mode=0o700)
            self.homes.append(home)
        return run(
            ["gpg", "--batch", "--no-tty", "--trust-model", "always", *arguments],
            stdin,
            {"GNUPGHOME": str(home), "LC_ALL": "C.UTF-8"},
        )

    def make(self, kind, desk):
        algorithm, _, more = kind.partition(" + ")
        family, _, size = algorithm.replace("-", " ").partition(" ")
        key, subkey = (text.format(size) for text in self.ALGORITHMS[family])
        parameters = ["%no-protection", key, "Key-Usage: sign", subkey, "Subkey-Usage: encrypt"]
        parameters += ["Name-Real: " + desk.name, "Name-Email: " + desk.address, "Expire-Date: 1y", "%commit", ""]
        self.gpg(desk, "--generate-key", stdin="\n".join(parameters).encode())
        # "Cv25519 + 4" has four more encryption subkeys, as somebody with several machines may have.
        for _ in range(int(more or 0)):
            self.gpg(desk, "--passphrase", "", "--quick-add-key", self.fingerprint(desk), "cv25519", "encr", "1y")
        desk.certificate.write_bytes(self.gpg(desk, "--armor", "--export", desk.address).stdout)

    def fingerprint(self, desk):
        listed = self.gpg(desk, "--list-keys", "--with-colons", desk.address).stdout.decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))

    def read(self, desk, message, sender, _now):
        if sender:
            self.gpg(desk, "--import", str(sender))
        done = self.gpg(desk, "--status-fd", "2", "--decrypt", stdin=message)
        # The last word is the fingerprint of the signer's primary key.
        signers = [line.split()[-1].decode() for line in done.stderr.splitlines() if b"] VALIDSIG " in line]
        good = bool(sender and signers) and set(signers) <= set(fingerprints(sender.read_bytes()))
        return Opened(done.stdout, good, "verified" if good else "no VALIDSIG")

    @classmethod
    def close(cls):
        """Ends the agents that gpg started."""
        for home in cls.homes:
            subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


class Sq:
    """Sequoia's sq 0.27."""

    SUITES = {"Cv25519": "cv25519", "RSA 3072": "rsa3k", "RSA 4096": "rsa4k"}

    def version(self):
        return run(["sq", "--version"]).stdout.decode().split("(")[0].strip()

    def make(self, kind, desk):
        suite = self.SUITES[kind]
        run(["sq", "key", "generate", "--cipher-suite", suite, "--userid", desk.user_id, "--export", desk.key])
        run(["sq", "key", "extract-cert", "--output", desk.certificate, desk.key])

    def read(self, desk, message, sender, _now):
        signer = ["--signer-cert", sender] if sender else []
        # With a signer's certificate it gives nothing out unless the signature is good.
        done = run(["sq", "decrypt", "--recipient-key", desk.key, *signer], message)
        return Opened(done.stdout, bool(sender), "verified" if sender else "not asked to")


class Rnp:
    """RNP, the library of Thunderbird, by its own commands."""

    # What the menu of `rnpkeys --expert` is answered with.
    ANSWERS = {"Cv25519": "22\n", "P-256": "19\n1\n", "P-384": "19\n2\n", "P-521": "19\n3\n"}

    def version(self):
        return run(["rnp", "--version"]).stdout.decode().splitlines()[0]

    def make(self, kind, desk):
        home = desk.directory / "rnp"
        home.mkdir()
        common = ["rnpkeys", "--homedir", home, "--notty", "--password", ""]
        if kind.startswith("RSA "):
            chosen, answers = ["--numbits", kind.removeprefix("RSA ")], ""
        else:
            chosen, answers = ["--expert"], self.ANSWERS[kind]
        run([*common, "--generate-key", *chosen, "--userid", desk.user_id], answers.encode())
        run([*common, "--export-key", desk.address, "--output", desk.certificate])

    def read(self, desk, message, sender, _now):
        home = desk.directory / "rnp"
        if sender:
            run(["rnpkeys", "--homedir", home, "--notty", "--import-keys", sender])
        sealed = desk.store("message.asc", message)
        plain = desk.directory / "plaintext"
        command = ["rnp", "--homedir", home, "--notty", "--password", "", "--overwrite", "--output", plain]
        done = run([*command, "--decrypt", sealed])
        said = (done.stdout + done.stderr).decode()
        good = bool(sender) and "Good signature made" in said and any(
            key.lower() in said for key in fingerprints(sender.read_bytes())
        )
        return Opened(plain.read_bytes(), good, "verified" if good else said.strip() or "it says nothing")


class Sop:
    """A program with the Stateless OpenPGP command line; each makes one kind of key, of its own choice."""

    # Half of the time that a Java program of one second would take.
    ENVIRONMENT = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}

    def __init__(self, program):
        self.program = program

    def run(self, *words, stdin=b""):
        return run([self.program, *words], stdin, self.ENVIRONMENT).stdout

    def version(self):
        return self.run("version").decode().splitlines()[0]

    def make(self, _kind, desk):
        desk.key.write_bytes(self.run("generate-key", desk.user_id))
        desk.certificate.write_bytes(self.run("extract-cert", stdin=desk.key.read_bytes()))

    def read(self, desk, message, sender, _now):
        verifications = desk.directory / "verifications"
        verifications.unlink(missing_ok=True)
        # The draft of the interface renamed the option; the old programs know the old name.
        out = "--verifications-out" if self.program == "sqop" else "--verify-out"
        checks = ["--verify-with=%s" % sender, "%s=%s" % (out, verifications)] if sender else []
        plaintext = self.run("decrypt", *checks, desk.key, stdin=message)
        good = bool(sender) and verifications.exists() and verifications.read_text().strip() != ""
        return Opened(plaintext, good, "verified" if good else "no verification was written")


class Library:
    """A library, made a program by one of the scripts beside this file."""

    def __init__(self, interpreter, script, environment):
        self.command = [interpreter, HERE / script]
        self.environment = environment

    def run(self, *words):
        return run([*self.command, *map(str, words)], environment=self.environment).stdout.decode().strip()

    def version(self):
        return self.run("version")

    def make(self, kind, desk):
        self.run("make", kind, desk.name, desk.address, desk.key, desk.certificate)

    def read(self, desk, message, sender, now):
        plain = desk.directory / "plaintext"
        sealed = desk.store("message.asc", message)
        # Where there is no sender to verify, any certificate will do.
        said = self.run("read", desk.key, sender or desk.certificate, sealed, plain, now)
        return Opened(plain.read_bytes(), said == "verified", said)


def programs(installed):
    """Every program by its name. `installed` is where the libraries of .ci/readers were put."""
    environment = {
        "EMBARGOD_READERS": str(installed),
        "PYTHONPATH": str(installed / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # PGPy is Debian's package, which Debian's own Python finds.
    debian = {"PYTHONPATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    return {
        "gpg": Gpg(),
        "sq": Sq(),
        "rnp": Rnp(),
        "sqop": Sop("sqop"),
        "gosop": Sop("gosop"),
        "pgpainless": Sop("pgpainless-cli"),
        "openpgpjs": Library("node", "with_openpgpjs.mjs", environment),
        "pysequoia": Library(sys.executable, "with_pysequoia.py", environment),
        "rpgp": Library(sys.executable, "with_rpgp.py", environment),
        "pgpy": Library("/usr/bin/python3", "with_pgpy.py", debian),
    }
