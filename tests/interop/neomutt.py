"""Opens the first message of a Maildir in neomutt, or mutt, as a packager would, and asserts what the terminal shows.

Usage: neomutt.py MAILDIR SUBJECT TEXT ATTACHMENT [PROGRAM]

It runs in a pseudo-terminal that tmux draws. Every burst of output wakes this script, which then looks at the
drawn screen; it ends when all that was asked for has been shown, or fails with the transcript. GNUPGHOME names the
packager's keyring.
"""

import os
import select
import subprocess
import sys
import tempfile
import time

# Seconds for the whole reading. Generous: it only bounds how long a failure takes.
PATIENCE = 60

CONFIGURATION = """
set crypt_use_gpgme = yes
set crypt_protected_headers_read = yes
set crypt_verify_sig = yes
set header_cache = ""
set mbox_type = Maildir
set pager_index_lines = 0
set wait_key = no
set use_domain = no
set realname = Debian
set from = security@debian.example
set quit = yes
set markers = no
set sleep_time = 0
"""


class Terminal:
    """A program in a terminal of 120 columns and 160 lines, which holds a whole notice."""

    def __init__(self, directory, command):
        self.socket = os.path.join(directory, "tmux")
        fifo = os.path.join(directory, "output")
        os.mkfifo(fifo)
        # Both ends, so that opening does not wait and the end of one writer is not the end of all.
        self.output = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        gate = os.path.join(directory, "gate")
        os.mkfifo(gate)
        # The program starts only once its output is being passed on: its first screen must not be missed.
        self.tmux("new-session", "-d", "-x", "120", "-y", "160", "read -r _ < '%s'; exec %s" % (gate, command))
        self.tmux("pipe-pane", "-O", "exec cat > '%s'" % fifo)
        with open(gate, "w") as opened:
            opened.write("go\n")

    def tmux(self, *arguments):
        return subprocess.run(
            ["tmux", "-f", "/dev/null", "-S", self.socket, *arguments], check=True, capture_output=True, text=True
        ).stdout

    def press(self, *keys):
        self.tmux("send-keys", *keys)

    def screen(self):
        return self.tmux("capture-pane", "-p", "-J")

    def wait_for(self, *wanted):
        """The screen, once it shows all of `wanted`; fails with the last screen when it never does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            shown = self.screen()
            if all(text in shown for text in wanted):
                return shown
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.output], [], [], left)[0]:
                missing = [text for text in wanted if text not in shown]
                sys.exit("the terminal never showed %r; the last screen:\n%s" % (missing, shown))
            os.read(self.output, 65536)

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False, capture_output=True)


def main(maildir, subject, text, attachment, program="neomutt"):
    with tempfile.TemporaryDirectory() as directory:
        configuration = os.path.join(directory, "neomuttrc")
        with open(configuration, "w") as file:
            file.write(CONFIGURATION)
        command = "%s -n -F '%s' -e 'set folder=%s' -R -f '%s'" % (program, configuration, maildir, maildir)
        terminal = Terminal(directory, command)
        try:
            # Before the message is opened, the list shows the neutral outer subject and nothing of the inner one.
            listed = terminal.wait_for("[...]")
            if subject in listed:
                sys.exit("the list shows the subject of an unopened message:\n" + listed)
            terminal.press("Enter")
            opened = terminal.wait_for("Subject: " + subject, text, attachment, "Good signature from")
            print(opened)
            terminal.press("v")
            print(terminal.wait_for(attachment, "text/plain"))
            terminal.press("q", "q", "q")
        finally:
            terminal.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
