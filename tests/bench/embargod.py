"""embargod: from the API call that sends a revision to the last mail that the sink takes.

The programs are the release build's ($EMBARGOD_BIN, or target/release), the database is SQLite on this disk, the configuration is
what `embargod init` writes, with the sink as the relay. With $EMBARGOD_DUMP, where the sink leaves every mail, they are
all opened afterwards with their owners' keys, and what follows the head of each must be the same bytes.
"""
import base64
import email
import http.client
import json
import os
import pathlib
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from common import BASE, KEYS, arguments, ask_sink, patch, recipients, report, run

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("EMBARGOD_BIN", ROOT / "target/release"))
MAINTAINER = "mika@upstream.example"
TITLE = "The figures are too large"


def installation(count):
    """A directory with an installation and its maintainer's keyring, made once for this number of packagers and this version."""
    made = BASE / f"installation-{count}-{run('sha256sum', BINARIES / 'embargod').decode()[:12]}"
    if made.exists():
        return made
    folder = pathlib.Path(tempfile.mkdtemp(dir=BASE))
    home = folder / "keyring"
    home.mkdir(mode=0o700)
    run("gpg", "--homedir", home, "--batch", "--passphrase", "", "--quick-generate-key", MAINTAINER, "future-default", "default", "1y")
    (folder / "mika.asc").write_bytes(run("gpg", "--homedir", home, "--armor", "--export", MAINTAINER))
    run(BINARIES / "embargod", "init", "--directory", folder, "--project", "widgetlib", "--preset", "requests", "--branch", "main",
        "--maintainer", folder / "mika.asc")
    for address, _, _ in recipients(count):
        run(BINARIES / "embargod", "--config", folder / "embargod.toml", "packager", "add", address.partition("@")[0], "--contact", address,
            "--certificate", KEYS / "certificates" / f"{address}.pgp", "--project", "widgetlib")
    run("gpgconf", "--homedir", home, "--kill", "all")
    folder.rename(made)
    return made


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Server:
    """A copy of an installation, served."""

    def __init__(self, folder, options):
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        config = folder / "embargod.toml"
        text = config.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        text = text.replace('host = "localhost"', 'host = "127.0.0.1"').replace("port = 25 ", f"port = {options.port} ")
        config.write_text(text)
        self.environment = dict(os.environ, GNUPGHOME=str(folder / "keyring"), XDG_CONFIG_HOME=str(folder / "client"))
        log = (folder / "log").open("w")
        self.process = subprocess.Popen([BINARIES / "embargod", "--config", config, "serve"], stdout=log, stderr=log)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except ConnectionRefusedError:
                if self.process.poll() is not None:
                    sys.exit((folder / "log").read_text())
                time.sleep(0.01)

    def ctl(self, *words):
        return run(BINARIES / "embargoctl", *words, env=self.environment)

    def signed(self, method, url, body):
        """A signed command as bytes, so that the clock starts when it is sent and not while gpg makes it."""
        expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
        text = f"{method} {url}\nIdempotency-Key: {secrets.token_hex(16)}\nExpires: {expires}\nContent-Type: application/json\n\n{json.dumps(body)}"
        certificate = run("curl", "-s", f"{self.url}/key.asc")
        run("gpg", "--batch", "--quiet", "--import", data=certificate, env=self.environment)
        return run("gpg", "--batch", "--quiet", "--trust-model", "always", "-u", MAINTAINER, "-r", self.fingerprint(certificate), "-se",
                   data=text.encode(), env=self.environment)

    def fingerprint(self, certificate):
        listed = run("gpg", "--show-keys", "--with-colons", data=certificate, env=self.environment).decode()
        return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0])

    def prepared(self, fix):
        """An embargo that only has to be sent."""
        self.ctl("login", self.url, "--key", MAINTAINER)
        self.ctl("open", TITLE, "--project", "widgetlib")
        identity = json.loads(self.ctl("list", "--json"))
        identity = identity[0]["id"] if isinstance(identity, list) else next(iter(identity.values()))[0]["id"]
        (self.folder / "text.toml").write_text(f'title = "{TITLE}"\nsummary = "By far."\naffected = ["< 2"]\nfixed = ["2"]\n')
        (self.folder / "fix.mbox").write_bytes(fix)
        self.ctl("edit", identity, "--file", self.folder / "text.toml", "--yes")
        self.ctl("fix", "put", identity, "--branch", "main", self.folder / "fix.mbox")
        dates = self.ctl("dates", identity, "--json").decode()
        self.ctl("schedule", identity, dates.rpartition('"lifts_at"')[2].split('"')[1])
        return identity


def packets_behind_head(message):
    """The bytes of an OpenPGP message behind its encrypted session keys."""
    at = 0
    while True:
        tag, first = message[at], message[at + 1]
        if tag & 0x40:
            number = tag & 0x3F
            length, header = (first, 2) if first < 192 else (((first - 192) << 8) + message[at + 2] + 192, 3)
        else:
            number = tag >> 2 & 15
            size = 1 << (tag & 3)
            length, header = int.from_bytes(message[at + 1:at + 1 + size], "big"), 1 + size
        if number != 1:
            return message[at:]
        at += header + length


def opened(mails, fix, certificate, fingerprint):
    """How many mails are good: for a recipient of their own, signed by the server, with the fix, and the same behind the head."""
    run("gpg", "--homedir", KEYS / "owners", "--batch", "--quiet", "--import", data=certificate)
    good, bodies = set(), set()
    for path in sorted(mails.glob("*.eml")):
        raw = path.read_bytes().removesuffix(b"\r\n.\r\n").replace(b"\r\n..", b"\r\n.")
        mail = email.message_from_bytes(raw)
        armored = mail.get_payload()[1].get_payload(decode=True)
        lines = armored.replace(b"\r\n", b"\n").partition(b"\n\n")[2].splitlines()
        bodies.add(packets_behind_head(base64.b64decode(b"".join(line for line in lines if not line.startswith((b"=", b"-"))))))
        done = subprocess.run(["gpg", "--homedir", KEYS / "owners", "--batch", "--status-fd", "2", "--trust-model", "always", "--decrypt"],
                              input=armored, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        parts = [part.get_payload(decode=True) or b"" for part in email.message_from_bytes(done.stdout).walk() if not part.is_multipart()]
        if b"VALIDSIG " + fingerprint.encode() in done.stderr and any(part.replace(b"\r\n", b"\n") == fix for part in parts):
            good.add(mail["To"])
        else:
            sys.exit(f"{mail['To']} got a mail that is not good: {done.stderr.decode()[-300:]}")
    return len(good), len(bodies)


def main():
    options = arguments()
    dump = os.environ.get("EMBARGOD_DUMP")
    fix = patch(options.bytes)
    with tempfile.TemporaryDirectory(dir=BASE) as scratch:
        folder = pathlib.Path(scratch, "installation")
        shutil.copytree(installation(options.n), folder)
        server = Server(folder, options)
        try:
            identity = server.prepared(fix)
            path = f"/api/v1/embargoes/{identity}/revisions"
            command = server.signed("POST", server.url + path, {"now": True})
            certificate = run("curl", "-s", f"{server.url}/key.asc")
            ask_sink(options.port, "XRESET")
            if dump:
                for old in pathlib.Path(dump).glob("*.eml"):
                    old.unlink()
            used = server.cpu_seconds()
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            begun = time.time()
            connection.request("POST", path, command, {"Content-Type": "application/pgp-encrypted"})
            answer = connection.getresponse()
            answer.read()
            answered = time.time() - begun
            if answer.status != 200:
                sys.exit(f"the command was answered with {answer.status}")
            while (sink := ask_sink(options.port))["msgs"] < options.n:
                if time.time() - begun > 300:
                    sys.exit(f"only {sink['msgs']} mails came")
                time.sleep(0.05)
            used = server.cpu_seconds() - used
            more = {"answered": round(answered, 3), "first": round(sink["first"] - begun, 3)}
            if dump:
                good, bodies = opened(pathlib.Path(dump), fix, certificate, server.fingerprint(certificate))
                more.update(opened=good, bodies=bodies, ok=good == options.n and bodies == 1)
            report("embargod", options, sink["last"] - begun, server.peak_kib(), used, **more)
        finally:
            server.process.terminate()
            server.process.wait()
            subprocess.run(["gpgconf", "--homedir", folder / "keyring", "--kill", "all"], check=False)


main()
