"""What a notice must look like from outside and from inside, for mail programs that know protected headers.

Thunderbird shows the inner subject when the top of the decrypted entity says `protected-headers="v1"`; programs that
follow RFC 9788 look for `hp="cipher"` and compare with `HP-Outer`. Both are asserted here, because neither can be
started in a test that takes seconds.
"""

import email
import email.policy


class Wrong(AssertionError):
    """A mail that is not as it has to be."""


def check(true, problem, *facts):
    if not true:
        raise Wrong(problem % facts if facts else problem)


def outside(raw, address, secrets):
    """Checks the outer mail (RFC 3156, neutral headers) and gives the encrypted part."""
    for secret in secrets:
        check(secret.encode() not in raw, "the mail shows %r in clear", secret)
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    check(mail.get_content_type() == "multipart/encrypted", "it is %s", mail.get_content_type())
    check(mail.get_param("protocol") == "application/pgp-encrypted", "its protocol is %s", mail.get_param("protocol"))
    check(mail["Subject"] == "[...]", "the outer subject is %r", mail["Subject"])
    check(mail["To"] == address, "it is addressed to %r", mail["To"])
    for needed in ("From", "Date", "Message-ID", "MIME-Version"):
        check(len(mail.get_all(needed, [])) == 1, "it has not one %s", needed)
    for foreign in ("Cc", "Bcc", "Autocrypt", "User-Agent"):
        check(foreign not in mail, "it has a %s", foreign)
    control, sealed = mail.iter_parts()
    check(control.get_content_type() == "application/pgp-encrypted", "its first part is no control part")
    check(control.get_payload(decode=True).strip() == b"Version: 1", "its control part has no version")
    check(sealed.get_content_type() == "application/octet-stream", "its second part is not the message")
    # Cut out of the file as it is, as a person would.
    begin = raw.index(b"-----BEGIN PGP MESSAGE-----")
    end = raw.index(b"-----END PGP MESSAGE-----") + len(b"-----END PGP MESSAGE-----\r\n")
    return mail, raw[begin:end]


def inside(mail, entity, title, text, fix, strangers):
    """Checks the decrypted entity: protected headers, the text, and the fix byte for byte."""
    for stranger in strangers:
        check(stranger.encode() not in entity, "it names another recipient: %s", stranger)
    inner = email.message_from_bytes(entity, policy=email.policy.default)
    check(inner.get_content_type() == "multipart/mixed", "inside it is %s", inner.get_content_type())
    check(inner.get_param("protected-headers") == "v1", "inside there is no protected-headers=\"v1\"")
    check(inner.get_param("hp") == "cipher", "inside there is no hp=\"cipher\"")
    check(title in (inner["Subject"] or ""), "the inner subject is %r", inner["Subject"])
    check(inner["From"] == mail["From"], "From is %r inside, %r outside", inner["From"], mail["From"])
    check(len(inner.get_all("Date", [])) == 1, "inside there is not one Date")
    # The entity is shared by all recipients, so what belongs to one copy cannot be inside.
    for own in ("To", "Cc", "Message-ID"):
        check(own not in inner, "inside there is a %s", own)
    # What stood outside when it was sealed, so that a program can tell what a relay changed.
    outer = dict(line.split(": ", 1) for line in inner.get_all("HP-Outer", []))
    check(outer.get("Subject") == mail["Subject"], "HP-Outer says %r of the subject", outer.get("Subject"))
    check(outer.get("From") == mail["From"], "HP-Outer says %r of the sender", outer.get("From"))
    check(outer.get("Date", mail["Date"]) == mail["Date"], "HP-Outer says %r of the date", outer.get("Date"))
    first, *attached = inner.iter_parts()
    check(text in first.get_content(), "the text is not the notice's:\n%s", first.get_content())
    patches = [part for part in attached if part.get_content_type() == "text/x-patch"]
    check(len(patches) == 1, "%d fixes are attached instead of one", len(patches))
    check(patches[0].get_payload(decode=True) == fix, "the attached fix is not the maintainer's, byte for byte")
