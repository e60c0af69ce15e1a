"""How a packager reads what arrived: with notmuch, which asks gpg to decrypt and to verify."""

import json
import os

from servers import Failure, run


def demand(condition, what):
    if not condition:
        raise Failure(what)


def parts(body):
    for part in body:
        yield part
        if isinstance(part.get("content"), list):
            yield from parts(part["content"])


class Read:
    """One mail, opened: its inner subject, its text, and its attachments by name."""

    def __init__(self, desk, path):
        with open(path, "rb") as file:
            self.raw = file.read()
        folder = desk.path("reader-" + os.path.basename(path))
        os.makedirs(folder + "/cur")
        with open(folder + "/cur/one", "wb") as file:
            file.write(self.raw)
        with open(folder + "/config", "w", encoding="ascii") as file:
            file.write("[database]\npath=%s\n[user]\nname=reader\nprimary_email=reader@packager.example\n" % folder)
        environment = dict(desk.environment, NOTMUCH_CONFIG=folder + "/config")
        run("notmuch", "new", "--quiet", env=environment)
        shown = run("notmuch", "show", "--format=json", "--include-html", "--decrypt=true", "--verify", "*", env=environment)
        # An attached patch of another charset stands in there as it is.
        message = json.loads(shown.stdout.decode(errors="replace"))[0][0][0]
        self.subject = message["headers"]["Subject"]
        crypto = message.get("crypto", {})
        demand(crypto.get("decrypted", {}).get("status") == "full", "not decrypted: %r" % crypto)
        demand([one["status"] for one in crypto["signed"]["status"]] == ["good"], "no good signature: %r" % crypto)
        demand(crypto["decrypted"].get("header-mask") == {"Subject": "[...]"}, "the outer subject says something: %r" % crypto)
        self.text, self.files = "", {}
        for part in parts(message["body"]):
            if part.get("filename") and part["content-type"] != "multipart/encrypted" and "encrypted.asc" not in part["filename"]:
                got = run("notmuch", "show", "--format=raw", "--decrypt=true", "--part=%d" % part["id"], "*", env=environment)
                self.files[part["filename"]] = got.stdout
            elif part["content-type"] == "text/plain":
                self.text += part["content"]


def fetched(desk, who, mail):
    """Does literally what a mail without attachments says, and returns the fix."""
    _, found, recipe = mail.text.partition("\n    S=http")
    demand(found, "no recipe in\n" + mail.text)
    commands = "S=http" + recipe.partition("\n\n")[0]
    folder = desk.path("fetching")
    os.makedirs(folder, exist_ok=True)
    with open(folder + "/me.asc", "wb") as file:
        file.write(desk.run("gpg", "--armor", "--export", who))
    run("sh", "-euc", commands, env=desk.environment, cwd=folder)
    with open(folder + "/main.mbox", "rb") as file:
        return file.read()
