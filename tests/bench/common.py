"""What the senders share: arguments, recipients, the patch, the counters of the sink, and the line of figures that each prints."""
import argparse
import json
import os
import pathlib
import smtplib
import subprocess
import sys

BASE = pathlib.Path(os.environ.get("BENCH", os.path.expanduser("~/.cache/embargod-bench")))
KEYS = BASE / "keys"
SENDER = "sender@upstream.example"


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=50, help="recipients")
    parser.add_argument("-s", "--bytes", type=int, default=20480, help="size of the patch")
    parser.add_argument("-p", "--port", type=int, default=2525, help="where the sink is")
    return parser.parse_args()


def recipients(count):
    """(address, fingerprint, kind) of the first `count`."""
    rows = [line.split("\t") for line in (KEYS / "recipients.tsv").read_text().splitlines()[:count]]
    assert len(rows) == count, f"there are {len(rows)} keys; run tests/bench/keys"
    return rows


def patch(size):
    """A diff of exactly `size` bytes that adds a file of Python's own library; it shrinks to about a quarter."""
    sources = sorted(pathlib.Path(os.__file__).parent.rglob("*.py"))
    text = (line for source in sources for line in source.read_text("ascii", "replace").replace("\ufffd", "?").splitlines())
    head = "diff --git a/widget.py b/widget.py\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/widget.py\n@@ -0,0 +1,{:06} @@\n"
    room = size - len(head.format(0))
    lines = []
    while room > 220:
        lines.append("+" + next(text)[:200])
        room -= len(lines[-1]) + 1
    lines.append("+" + "x" * (room - 2))
    made = (head.format(len(lines)) + "\n".join(lines) + "\n").encode()
    assert len(made) == size
    return made


def ask_sink(port, verb="XSTAT"):
    """The counters of the sink; None for a verb without an answer."""
    with smtplib.SMTP("127.0.0.1", port) as connection:
        _, text = connection.docmd(verb)
    return json.loads(text) if verb == "XSTAT" else None


def run(*command, data=None, **more):
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode:
        sys.exit(f"{command}: {done.stderr.decode(errors='replace')[-800:]}")
    return done.stdout


def report(sender, options, seconds, peak_kib, cpu_seconds, **more):
    """Prints the line of figures. It is `ok` if the sink took exactly as many mails as there are recipients."""
    sink = ask_sink(options.port)
    row = {"sender": sender, "recipients": options.n, "bytes": options.bytes, "seconds": round(seconds, 3), "peak_kib": peak_kib,
           "cpu_seconds": round(cpu_seconds, 2), "wire_bytes": sink["bytes"], "load1": round(os.getloadavg()[0], 2), **more}
    row["ok"] = sink["msgs"] == options.n and row.get("ok", True)
    print(json.dumps(row), flush=True)
    sys.exit(not row["ok"])
