"""A practice installation of the real server with one maintainer, who uses gpg: set up, and told to send one fix.

Everything goes through the two programs and HTTP, as the README types it.
"""

import json
import os
import re
import signal
import subprocess
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

from programs import Desk, Failed, Gpg, run

# Seconds until the server must answer, and until it must have sent. They only bound how long a failure takes.
PATIENCE = 60
TITLE = "Names are not stripped"
TEXT = "A blank in a name matters."


class Installation:
    """The server, its files, and the maintainer's commands."""

    def __init__(self, directory, port):
        self.directory = directory
        self.url = "http://127.0.0.1:%d" % port
        self.server = None
        self.state = directory / "practice"
        os.environ["EMBARGOD_CONFIG"] = str(self.state / "embargod.toml")
        desk = directory / "maintainer"
        desk.mkdir()
        self.maintainer = Desk(desk, "Mika", "mika@widgetlib.example")
        Gpg().make("Cv25519", self.maintainer)
        run(
            ["embargod", "init", "--practice", "--directory", self.state, "--url", self.url, "--project", "widgetlib"]
            + ["--preset", "requests", "--branch", "main", "--maintainer", self.maintainer.certificate]
        )
        # All recipients log in from one address here, within a minute where the machine is quick.
        with open(self.state / "embargod.toml", "a", encoding="utf-8") as file:
            file.write("\n[limits]\nlogins_per_minute = 1000\n")

    def add(self, slug, address, certificate, *options):
        """Approves a packager; fails with what the server says about its certificate."""
        run(
            ["embargod", "packager", "add", slug, "--contact", address, "--certificate", certificate]
            + ["--project", "widgetlib", *options]
        )

    def start(self):
        log = open(self.directory / "server.log", "wb")
        self.server = subprocess.Popen(["embargod", "serve"], stdout=log, stderr=log)
        patient = ["curl", "--silent", "--retry", str(PATIENCE), "--retry-connrefused", "--retry-delay", "1"]
        run([*patient, "--output", os.devnull, self.url + "/livez"])
        self.certificate = self.directory / "server.asc"
        self.certificate.write_bytes(self.get("/key.asc"))

    def stop(self):
        if self.server:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(PATIENCE)

    def get(self, path, token=None, body=None):
        """What curl brings; `body` is a file to post."""
        command = ["curl", "--silent", "--show-error", "--fail-with-body", self.url + path]
        if token:
            command += ["--header", "Authorization: Bearer " + token]
        if body:
            command += ["--data-binary", "@%s" % body]
        return run(command).stdout

    def now(self):
        """What the practice clock shows, for programs that judge signatures by a date they are told."""
        head = run(["curl", "--silent", "--output", os.devnull, "--dump-header", "-", self.url + "/livez"]).stdout
        shown = re.search(rb"(?mi)^date: (.*?)\r?$", head).group(1).decode()
        return parsedate_to_datetime(shown).strftime("%Y-%m-%dT%H:%M:%SZ")

    def embargoctl(self, *words):
        keyring = {"GNUPGHOME": str(self.maintainer.directory / "gnupg")}
        return run(["embargoctl", "--profile", "mika", *words], environment=keyring).stdout.decode()

    def announce(self, fix, expected):
        """Opens an embargo with the one fix, sends it, and waits until `expected` mails have been handed over."""
        self.embargoctl("login", self.url, "--key", Gpg().fingerprint(self.maintainer))
        self.embargoctl("open", TITLE, "--project", "widgetlib")
        embargo = re.search(r'"id": *"([^"]+)"', self.embargoctl("list", "--json")).group(1)
        text = self.directory / "text.toml"
        text.write_text('title = "%s"\nsummary = "%s"\naffected = ["< 2.4.1"]\nfixed = ["2.4.1"]\n' % (TITLE, TEXT))
        self.embargoctl("edit", embargo, "--file", str(text), "--yes")
        self.embargoctl("fix", "put", embargo, "--branch", "main", str(fix))
        offered = re.findall(r'"lifts_at": *"([^"]+)"', self.embargoctl("dates", embargo, "--json"))
        self.embargoctl("schedule", embargo, offered[-1])
        self.embargoctl("send", embargo, "--now")
        deadline = time.monotonic() + PATIENCE
        while len(self.mails()) < expected:
            if time.monotonic() > deadline:
                deliveries = self.embargoctl("deliveries", embargo)
                raise Failed("%d of %d mails arrived:\n%s" % (len(self.mails()), expected, deliveries))
            # A round trip through the server; the clock is left alone, since most programs judge by the real one.
            run(["embargod", "practice", "now"])
        return embargo

    def mails(self):
        """Every mail that was handed over, as the file it lies in."""
        return sorted((self.state / "state" / "mail").glob("*/new/*"))

    def mail_of(self, address):
        """The one mail in a contact's Maildir."""
        found = [mail for mail in self.mails() if mail.parent.parent.name == address]
        if len(found) != 1:
            raise Failed("%d mails for %s instead of one" % (len(found), address))
        return found[0]

    def login(self, certificate, opened_by):
        """A token for the holder of `certificate`; `opened_by` reads the challenge."""
        challenge = self.get("/api/v1/challenges", body=certificate)
        answer = certificate.parent / "challenge"
        answer.write_bytes(opened_by(challenge))
        return self.get("/api/v1/tokens", body=answer).decode().strip()

    def fix(self, embargo, token):
        """The newest revision's only fix, as it crosses the wire."""
        shown = json.loads(self.get("/api/v1/embargoes/" + embargo, token))
        (fix,) = shown["fixes"]
        return self.get("/api/v1/embargoes/%s/revisions/%d/fixes/%s" % (embargo, shown["revision"], fix["id"]), token)


def make_fix(directory):
    """A fix as `git format-patch` writes it, with bytes that mail programs like to touch."""
    repository = directory / "widgetlib"
    environment = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        **{"GIT_%s_NAME" % role: "Mika" for role in ("AUTHOR", "COMMITTER")},
        **{"GIT_%s_EMAIL" % role: "mika@widgetlib.example" for role in ("AUTHOR", "COMMITTER")},
    }

    def git(*words):
        return run(["git", "-C", repository, *words], environment=environment)

    repository.mkdir()
    git("init", "--quiet", "--initial-branch", "main")
    widget = repository / "widget.py"
    widget.write_text("def render(name):\n    return name\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "widgets")
    widget.write_text("def render(name):\n    # \u00e9\u0449\u4fee, and a blank at the end \n    return name.strip()\n")
    git("commit", "--quiet", "--all", "--message", "Strip names")
    fix = directory / "fix.mbox"
    fix.write_bytes(git("format-patch", "--quiet", "--base=HEAD^", "--stdout", "-1").stdout)
    return fix
