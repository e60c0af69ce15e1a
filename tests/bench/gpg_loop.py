"""What a maintainer does by hand: one `gpg --sign --encrypt` for each packager, mailed over one connection."""
import resource
import smtplib
import time

from common import KEYS, SENDER, arguments, ask_sink, patch, recipients, report, run

CRLF = "\r\n"
options = arguments()
part = ("Content-Type: multipart/mixed; boundary=in\r\n\r\n--in\r\nContent-Type: text/plain\r\n\r\nFix attached.\r\n--in\r\n"
        "Content-Type: text/x-diff; name=fix.patch\r\n\r\n").encode() + patch(options.bytes).replace(b"\n", b"\r\n") + b"--in--\r\n"
home = min((home for home in KEYS.glob("home-*") if int(home.name[5:]) >= options.n), key=lambda home: int(home.name[5:]))
gpg = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--trust-model", "always", "--armor", "--local-user", SENDER, "--sign", "--encrypt"]


def outer(address, armored):
    head = [f"From: {SENDER}", f"To: {address}", "Subject: ...", f"Message-ID: <{time.time_ns()}@upstream.example>", "MIME-Version: 1.0",
            'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=out', "",
            "--out", "Content-Type: application/pgp-encrypted", "", "Version: 1", "",
            "--out", "Content-Type: application/octet-stream", "", ""]
    return CRLF.join(head).encode() + armored.replace(b"\n", b"\r\n") + b"--out--\r\n"


ask_sink(options.port, "XRESET")
begun = time.time()
connection = smtplib.SMTP("127.0.0.1", options.port)
for address, fingerprint, _ in recipients(options.n):
    connection.sendmail(SENDER, [address], outer(address, run(*gpg, "--recipient", fingerprint, data=part)))
connection.quit()
seconds = time.time() - begun
used = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
report("gpg", options, seconds, max(one.ru_maxrss for one in used), sum(one.ru_utime + one.ru_stime for one in used))
