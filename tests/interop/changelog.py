"""Reads changelog entries with docutils: JSON lines on standard input, each with style, text and entry.

Fails on the first entry about which docutils has something to say, or which is anything but the expected
headings and one bullet point whose text, without code marks and blanks, is the text that was meant.
"""

import json
import re
import sys

from docutils import nodes
from docutils.core import publish_doctree
from docutils.parsers.rst import roles


def bare(text):
    """What is left of a text when blanks, code marks and list marks at its beginning are taken away."""
    return re.sub(r"[`\s]", "", text)


def identifier(name, rawtext, text, lineno, inliner, options=None, content=None):
    return [nodes.reference(rawtext, text)], []


roles.register_local_role("ghsa", identifier)
roles.register_local_role("cve", identifier)


def fault(asked):
    settings = {"report_level": 1, "halt_level": 5, "warning_stream": False, "doctitle_xform": False}
    tree = publish_doctree(asked["entry"], settings_overrides=settings)
    messages = [message.astext() for message in tree.findall(nodes.system_message)]
    if messages:
        return messages
    titles = [title.astext() for title in tree.findall(nodes.title)]
    expected = {"pallets": ["Version 1. _x_"], "urllib3": ["1. _x_ (2026-06-10)", "Security"]}[asked["style"]]
    if titles != expected:
        return titles
    bullets = list(tree.findall(nodes.list_item))
    if len(bullets) != 1 or {type(child) for child in bullets[0].children} != {nodes.paragraph}:
        return [node.pformat() for node in bullets]
    said, meant = bare(bullets[0].astext()), bare(re.sub(r"^\s*(- *)*", "", asked["text"]))
    said = re.sub(r"(2026-99999,68rp-wp8r-4726|\(CVE-2026-99999,GHSA-68rp-wp8r-4726\))$", "", said)
    # A text that begins with list marks, or holds nothing but blanks, is made neater on purpose.
    for mark in ("-", "."):
        said, meant = said.replace(mark, ""), meant.replace(mark, "")
    if said != meant and meant:
        return [said, meant]
    return None


count = 0
for line in sys.stdin:
    asked = json.loads(line)
    wrong = fault(asked)
    if wrong:
        print(asked["entry"], repr(asked["text"]), *wrong, sep="\n", file=sys.stderr)
        sys.exit(1)
    count += 1
print(f"docutils read {count} entries")
