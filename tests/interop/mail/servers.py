"""Postfix and Exim as Debian builds them, unpacked and not installed, on a loopback port of their own.

Each instance has its own configuration, queue and data below one directory, takes mail for `example` domains into
Maildirs, and is gone with everything it started when `stop` returns.
"""

import dataclasses
import glob
import os
import pwd
import re
import signal
import socket
import subprocess
import time

USER, PASSWORD = "embargod", "correct horse battery staple"
PATIENCE = 60
# Every Debian has this account; it owns queues and Maildirs.
ACCOUNT = "mail"


class Failure(Exception):
    """Something that had to hold does not."""


def run(*command, stdin=b"", check=True, **options):
    """Runs a program to its end and returns what it wrote; fails with all of it when the program fails."""
    done = subprocess.run(command, input=stdin, capture_output=True, **options)
    if check and done.returncode:
        said = (done.stdout + done.stderr).decode(errors="replace")
        raise Failure("%s ended with %d\n%s" % (" ".join(map(str, command)), done.returncode, said))
    return done


def wait_until(what, condition, patience=PATIENCE):
    """What `condition` returns once it is true."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise Failure("waited %d s in vain: %s" % (patience, what))
        time.sleep(0.05)
    return found


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answers(port):
    """Whether somebody on `port` greets as a mail server does."""
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            return connection.recv(512).startswith(b"220")
    except OSError:
        return False


@dataclasses.dataclass(frozen=True)
class Settings:
    """How a relay is set up."""

    size_limit: int = 0
    announces_size: bool = True
    # The envelope is taken, and the size is judged behind the final dot.
    judges_late: bool = False
    plain_smtp: bool = False
    starttls: bool = True
    certificate: str = "localhost"


class Relay:
    """One mail server. `restart` gives it other settings at the same port."""

    name = program = ""

    def __init__(self, unpacked, directory, certificates, addresses):
        self.unpacked, self.directory, self.certificates, self.addresses = unpacked, directory, certificates, addresses
        self.process, self.port = None, free_port()
        self.boxes = os.path.join(directory, "boxes")
        self.log_file = os.path.join(directory, "log")
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LD_LIBRARY_PATH": ":".join(glob.glob(unpacked + "/usr/lib/*-linux-gnu*") + glob.glob(unpacked + "/lib/*-linux-gnu*")),
        }
        os.makedirs(self.boxes)
        os.chmod(directory, 0o755)
        self.owned(self.boxes, *(os.path.join(self.boxes, address) for address in addresses))
        self.prepare()

    def owned(self, *paths):
        account = pwd.getpwnam(ACCOUNT)
        for path in paths:
            os.makedirs(path, exist_ok=True)
            os.chown(path, account.pw_uid, account.pw_gid)

    def write(self, name, text):
        path = os.path.join(self.directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def restart(self, settings=Settings()):
        self.stop()
        self.configure(settings)
        with open(os.path.join(self.directory, "output"), "ab") as output:
            self.process = subprocess.Popen(
                self.command(), env=self.environment, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )
        try:
            wait_until(self.name + " answers", lambda: self.process.poll() is not None or answers(self.port))
        finally:
            if self.process.poll() is not None:
                raise Failure("%s did not start:\n%s" % (self.name, self.everything()))

    def stop(self):
        """Ends the server and all it started; fails if something stays."""
        if self.process is None:
            return
        group, process, self.process = self.process.pid, self.process, None
        for which in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(group, which)
            except ProcessLookupError:
                break
            try:
                process.wait(10)
                wait_until("the end of " + self.name, lambda: not group_lives(group), 10)
            except (Failure, subprocess.TimeoutExpired):
                continue
        if group_lives(group):
            raise Failure("%s cannot be ended" % self.name)

    def log(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def everything(self):
        with open(os.path.join(self.directory, "output"), encoding="utf-8", errors="replace") as file:
            return file.read() + self.log()

    def mails(self, address):
        """Paths of the mails that arrived for `address`, in the order of their arrival."""
        return sorted(glob.glob(os.path.join(self.boxes, address, "new", "*")), key=lambda path: os.stat(path).st_mtime_ns)


def group_lives(group):
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


class Postfix(Relay):
    name = "Postfix"

    def prepare(self):
        queue = os.path.join(self.directory, "queue")
        os.makedirs(queue)
        self.owned(os.path.join(self.directory, "data"))
        for part in "active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace".split():
            self.owned(os.path.join(queue, part))
        os.makedirs(os.path.join(queue, "pid"))
        database = os.path.join(self.directory, "sasldb")
        run(self.unpacked + "/usr/sbin/saslpasswd2", "-p", "-c", "-f", database, "-u", "relay.example", USER,
            stdin=PASSWORD.encode(), env=self.environment)
        os.chmod(database, 0o640)
        os.chown(database, 0, pwd.getpwnam(ACCOUNT).pw_gid)
        self.write("etc/sasl/smtpd.conf", "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: %s\nmech_list: PLAIN LOGIN\n" % database)
        self.write("mailboxes", "".join("%s %s/\n" % (address, address) for address in self.addresses))
        plugins = glob.glob(self.unpacked + "/usr/lib/*-linux-gnu*/sasl2")[0]
        self.environment.update(MAIL_CONFIG=os.path.join(self.directory, "etc"), SASL_PATH=plugins)
        self.environment["LD_LIBRARY_PATH"] += ":%s/usr/lib/postfix" % self.unpacked

    def configure(self, settings):
        silenced = ["ETRN", "VRFY", "DSN", "ENHANCEDSTATUSCODES"] if settings.plain_smtp else []
        silenced += ["PIPELINING", "8BITMIME", "CHUNKING", "SMTPUTF8"] if settings.plain_smtp else []
        silenced += [] if settings.announces_size else ["SIZE"]
        domains = sorted({address.split("@")[1] for address in self.addresses})
        account = pwd.getpwnam(ACCOUNT)
        self.write("etc/main.cf", "\n".join("%s = %s" % pair for pair in {
            "compatibility_level": "3.6",
            "queue_directory": self.directory + "/queue",
            "data_directory": self.directory + "/data",
            "daemon_directory": self.unpacked + "/usr/lib/postfix/sbin",
            "command_directory": self.unpacked + "/usr/sbin",
            "shlib_directory": self.unpacked + "/usr/lib/postfix",
            "meta_directory": self.unpacked + "/etc/postfix",
            "mail_owner": ACCOUNT,
            "setgid_group": "uucp",
            "default_privs": "nobody",
            "import_environment": "MAIL_CONFIG LD_LIBRARY_PATH SASL_PATH PATH",
            "maillog_file": self.log_file,
            "maillog_file_prefixes": self.directory,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "relay.example",
            "mydestination": "",
            "alias_maps": "",
            "disable_dns_lookups": "yes",
            "default_transport": "error:this relay sends nothing on",
            "virtual_mailbox_domains": ", ".join(domains),
            "virtual_mailbox_base": self.boxes,
            "virtual_mailbox_maps": "texthash:" + self.directory + "/mailboxes",
            "virtual_mailbox_limit": "0",
            "virtual_minimum_uid": "1",
            "virtual_uid_maps": "static:%d" % account.pw_uid,
            "virtual_gid_maps": "static:%d" % account.pw_gid,
            "message_size_limit": str(settings.size_limit),
            "smtpd_discard_ehlo_keywords": ", ".join(silenced),
            "smtpd_tls_security_level": "may" if settings.starttls else "none",
            "smtpd_tls_auth_only": "yes" if settings.starttls else "no",
            "smtpd_tls_chain_files": self.certificates.chain(settings.certificate),
            "smtpd_tls_loglevel": "1",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_local_domain": "relay.example",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
            "smtpd_peername_lookup": "no",
        }.items()) + "\n")
        services = """
            127.0.0.1:%d inet n - n - - smtpd
            cleanup unix n - n - 0 cleanup
            qmgr unix n - n 300 1 qmgr
            tlsmgr unix - - n 1000? 1 tlsmgr
            rewrite unix - - n - - trivial-rewrite
            bounce unix - - n - 0 bounce
            defer unix - - n - 0 bounce
            trace unix - - n - 0 bounce
            proxymap unix - - n - - proxymap
            error unix - - n - - error
            retry unix - - n - - error
            virtual unix - n n - - virtual
            anvil unix - - n - 1 anvil
            postlog unix-dgram n - n - 1 postlogd
        """ % self.port
        self.write("etc/master.cf", "\n".join(line.strip() for line in services.splitlines()) + "\n")

    def verbs(self, log):
        """The SMTP commands that clients gave."""
        ends = re.findall(r"disconnect from \S+ (.*) commands=", log)
        return {verb.upper() for end in ends for verb in re.findall(r"(\w+)=", end)}

    def command(self):
        return [self.unpacked + "/usr/lib/postfix/sbin/master", "-c", os.path.join(self.directory, "etc"), "-d"]


class Exim(Relay):
    name = "Exim"

    def prepare(self):
        self.owned(os.path.join(self.directory, "spool"))
        self.log_file = os.path.join(self.directory, "spool", "log", "mainlog")
        # Debian's Exim asks for an account of its own, which only an installation makes.
        account = pwd.getpwnam(ACCOUNT)
        names = "root:x:0:0::/:/bin/sh\n%s:x:%d:%d::/:/bin/false\n" % (ACCOUNT, account.pw_uid, account.pw_gid)
        names += "Debian-exim:x:%d:%d::/:/bin/false\n" % (account.pw_uid, account.pw_gid)
        groups = "root:x:0:\n%s:x:%d:\nDebian-exim:x:%d:\n" % (ACCOUNT, account.pw_gid, account.pw_gid)
        wrapper = sorted(glob.glob(self.unpacked + "/usr/lib/*-linux-gnu*/libnss_wrapper.so*"))[0]
        self.environment.update(LD_PRELOAD=wrapper, NSS_WRAPPER_PASSWD=self.write("passwd", names), NSS_WRAPPER_GROUP=self.write("group", groups))

    def configure(self, settings):
        domains = sorted({address.split("@")[1] for address in self.addresses})
        late = "deny message = 552 5.3.4 Message too big\n  condition = ${if >{$message_size}{%d}}" % settings.size_limit
        self.write("exim.conf", """
exim_path = %(unpacked)s/usr/sbin/exim4
spool_directory = %(directory)s/spool
log_file_path = %(directory)s/spool/log/%%slog
log_selector = +smtp_no_mail +smtp_protocol_error +smtp_connection
keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
exim_user = %(account)s
exim_group = %(account)s
primary_hostname = relay.example
local_interfaces = 127.0.0.1
daemon_smtp_ports = %(port)d
tls_advertise_hosts = %(tls)s
tls_certificate = %(chain)s
auth_advertise_hosts = ${if or {{def:tls_in_cipher}{!bool{%(starttls)s}}}{*}{}}
pipelining_advertise_hosts = %(pipelining)s
pipelining_connect_advertise_hosts =
chunking_advertise_hosts =
accept_8bitmime = %(eight_bit)s
message_size_limit = %(limit)d
acl_smtp_rcpt = logged_in
acl_smtp_data = not_too_big

begin acl
logged_in:
  deny !authenticated = *
       message = log in first
  require verify = recipient
  accept
not_too_big:
  %(late)s
  accept

begin routers
boxes:
  driver = accept
  domains = %(domains)s
  condition = ${lookup {$local_part@$domain} dsearch,filter=dir {%(boxes)s} {yes}{no}}
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = ${lookup {$local_part@$domain} dsearch,ret=full,filter=dir {%(boxes)s}}
  create_directory
  maildir_format
  user = %(account)s
  group = %(account)s

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and {{eq{$auth2}{%(user)s}}{eq{$auth3}{%(password)s}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${if and {{eq{$auth1}{%(user)s}}{eq{$auth2}{%(password)s}}}}
  server_set_id = $auth1
""" % {
            "unpacked": self.unpacked,
            "directory": self.directory,
            "account": ACCOUNT,
            "port": self.port,
            "starttls": "true" if settings.starttls else "false",
            "tls": "*" if settings.starttls else "",
            "chain": self.certificates.chain(settings.certificate),
            "pipelining": "" if settings.plain_smtp else "*",
            "eight_bit": "false" if settings.plain_smtp else "true",
            "limit": 0 if settings.judges_late else settings.size_limit,
            "late": late if settings.judges_late else "",
            "domains": " : ".join(domains),
            "boxes": self.boxes,
            "user": USER,
            "password": PASSWORD,
        })

    def verbs(self, log):
        """The SMTP commands that clients gave; of a mail that was begun those that must have been."""
        verbs = {verb for given in re.findall(r" C=([A-Z,]+)", log) for verb in given.split(",")}
        if re.search(r" <= | rejected RCPT ", log):
            verbs |= {"EHLO", "STARTTLS", "MAIL", "RCPT", "DATA"}
        return verbs

    def command(self):
        return [self.unpacked + "/usr/sbin/exim4", "-C", os.path.join(self.directory, "exim.conf"), "-bdf"]
