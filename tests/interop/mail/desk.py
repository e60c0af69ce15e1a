"""A real installation of embargod: its server, one maintainer who uses embargoctl, and packagers who read mail."""

import json
import os
import subprocess

from servers import PASSWORD, USER, Failure, free_port, run, wait_until

MAINTAINER = ("Jörg Müller", "mika@widgetlib.example")
PACKAGERS = {"debian": ("Zażółć Gęślą", "security@debian.example"), "alpine": ("Alpine", "team@alpine.example")}
OPERATOR = "operator@widgetlib.example"
ADDRESSES = [MAINTAINER[1], OPERATOR, *(address for _, address in PACKAGERS.values())]
TITLE = "Überlauf in Widget.render – 溢出"


class Desk:
    def __init__(self, binaries, directory, authority):
        self.directory, self.authority, self.port, self.server = directory, authority, free_port(), None
        self.url = "http://127.0.0.1:%d" % self.port
        os.makedirs(directory)
        home = os.path.join(directory, "home")
        # A socket's path must be short, so the keys do not lie deep below.
        self.keys = os.path.join(directory, "k")
        for path in (home, self.keys):
            os.mkdir(path, 0o700)
        self.environment = dict(
            os.environ, HOME=home, XDG_CONFIG_HOME=home + "/.config", GNUPGHOME=self.keys, LC_ALL="C.UTF-8",
            EMBARGOD_CONFIG=self.path("embargod.toml"), PATH=binaries + ":" + os.environ["PATH"],
        )
        with open(self.path("relay-password"), "w", opener=private) as file:
            file.write(PASSWORD + "\n")
        people = {"mika": MAINTAINER, **PACKAGERS}
        for name, (person, address) in people.items():
            self.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-generate-key",
                     "%s <%s>" % (person, address), "future-default", "default", "1y")
            exported = self.run("gpg", "--armor", "--export", address)
            with open(self.path(name + ".asc"), "wb") as file:
                file.write(exported)
        self.run("embargod", "init", "--directory", directory, "--project", "widgetlib", "--project-name", "Widgetlib für Ämter",
                 "--preset", "requests", "--branch", "main", "--maintainer", self.path("mika.asc"),
                 "--url", self.url, "--from", "embargo@widgetlib.example")
        for name, (_, address) in PACKAGERS.items():
            self.run("embargod", "packager", "add", name, "--contact", address, "--certificate", self.path(name + ".asc"),
                     "--project", "widgetlib")

    def path(self, name):
        return os.path.join(self.directory, name)

    def run(self, *command, **options):
        return run(*command, env=self.environment, cwd=self.directory, **options).stdout

    def configure(self, port, user=True, password=True, max_bytes=8 << 20):
        """Writes the configuration as an operator would: only what stands in [mail] and below differs."""
        lines = ["[mail]", 'from = "embargo@widgetlib.example"', "max_bytes = %d" % max_bytes, "[mail.relay]"]
        lines += ['host = "localhost"', "port = %d" % port, 'tls = "starttls"', 'ca_file = "%s"' % self.authority]
        if user:
            file = "relay-password" if password else "wrong-password"
            with open(self.path("wrong-password"), "w", opener=private) as wrong:
                wrong.write("wrong\n")
            lines += ['user = "%s"' % USER, 'password_file = "%s"' % file]
        with open(self.path("embargod.toml"), encoding="utf-8") as file:
            before, _, rest = file.read().partition("[mail]")
        with open(self.path("embargod.toml"), "w", encoding="utf-8") as file:
            file.write(before + "\n".join(lines) + "\n\n[limits]\nlogins_per_minute = 100000\n\n[log]" + rest.partition("[log]")[2])

    def serve(self, port, **options):
        """Starts the server with this relay, or starts it again."""
        self.stop()
        self.configure(port, **options)
        with open(self.path("server.log"), "ab") as log:
            self.server = subprocess.Popen(
                ["embargod", "serve"], env=self.environment, cwd=self.directory,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        wait_until("embargod serves", lambda: self.server.poll() is not None or self.alive())
        if self.server.poll() is not None:
            raise Failure("embargod does not serve:\n" + self.log())

    def alive(self):
        return run("curl", "--silent", "--fail", self.url + "/livez", check=False).returncode == 0

    def log(self):
        with open(self.path("server.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def stop(self):
        if self.server:
            self.server.terminate()
            self.server.wait(60)
            self.server = None

    def close(self):
        try:
            self.stop()
        finally:
            run("gpgconf", "--homedir", self.keys, "--kill", "all", check=False)

    def doctor(self, *options):
        """What `embargod doctor` finds, and whether it fails."""
        done = run("embargod", "doctor", "--json", *options, check=False, env=self.environment, cwd=self.directory)
        if not done.stdout:
            raise Failure("doctor found no words: " + done.stderr.decode())
        return json.loads(done.stdout), done.returncode

    def ctl(self, *command):
        return self.run("embargoctl", *command).decode()

    def login(self):
        self.ctl("login", self.url, "--key", MAINTAINER[1])

    def announce(self, fix):
        """Opens an embargo with this fix and sends it; returns its id."""
        answer = self.ctl("open", TITLE, "--project", "widgetlib", "--json")
        embargo = json.loads(answer)["id"]
        with open(self.path("text.toml"), "w", encoding="utf-8") as file:
            file.write('title = "%s"\nsummary = "Ein Zeilenumbruch in „Namen“ beginnt eine Kopfzeile."\n'
                       'affected = ["< 2.4.1"]\nfixed = ["2.4.1"]\n' % TITLE)
        with open(self.path("fix.mbox"), "wb") as file:
            file.write(fix)
        self.ctl("edit", embargo, "--file", "text.toml", "--yes")
        self.ctl("fix", "put", embargo, "--branch", "main", "fix.mbox")
        dates = json.loads(self.ctl("dates", embargo, "--json"))
        self.ctl("schedule", embargo, dates["offers"][-1]["lifts_at"])
        self.ctl("send", embargo, "--now")
        return embargo

    def copies(self, embargo):
        """The copies of an embargo's notices, as a maintainer sees them."""
        return json.loads(self.ctl("deliveries", embargo, "--json"))["deliveries"]

    def settled(self, embargo, state, count=len(PACKAGERS)):
        """Waits until all copies with content are in `state` after at least one attempt; returns what `deliveries` prints."""
        def check():
            copies = [copy for copy in self.copies(embargo) if copy["kind"] in ("announcement", "revision")]
            return len(copies) == count and all(copy["state"] == state and copy["attempts"] for copy in copies)
        try:
            wait_until("copies become " + state, check)
        except Failure as failure:
            raise Failure("%s\n%s\n%s" % (failure, self.ctl("deliveries", embargo), self.log())) from None
        return self.ctl("deliveries", embargo)


def private(path, flags):
    return os.open(path, flags, 0o600)
