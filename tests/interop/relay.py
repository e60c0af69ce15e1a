"""A submission relay: takes mail on port 587 after STARTTLS and a login, and puts it into a folder for each recipient.

Usage: relay.py ADDRESS CERTIFICATE KEY PASSWORD_FILE FOLDER
Without TLS it lets nobody log in, and without a login it takes no mail, as providers do it.
"""
import asyncio
import base64
import pathlib
import ssl
import sys

address, certificate, key, password_file, folder = sys.argv[1:]
password = pathlib.Path(password_file).read_text().splitlines()[0]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate, key)
taken = 0


def keep(recipients, lines):
    global taken
    taken += 1
    for recipient in recipients:
        place = pathlib.Path(folder, recipient)
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{taken:04}.eml").write_bytes(b"".join(lines))


async def serve(reader, writer):
    encrypted = known = False
    recipients = []

    def say(text):
        writer.write(text.encode() + b"\r\n")

    say("220 smtp.example ESMTP")
    while line := await reader.readline():
        verb, _, rest = line.decode().strip().partition(" ")
        match verb.upper():
            case "EHLO":
                say("250-smtp.example\r\n250-SIZE 25000000\r\n250-" + ("AUTH PLAIN" if encrypted else "STARTTLS") + "\r\n250 8BITMIME")
            case "STARTTLS" if not encrypted:
                say("220 go ahead")
                await writer.drain()
                await writer.start_tls(context)
                encrypted = True
            case "AUTH" if encrypted:
                known = base64.b64decode(rest.partition(" ")[2]).decode() == f"\0embargod\0{password}"
                say("235 welcome" if known else "535 wrong user or password")
            case "MAIL" if known:
                recipients = []
                say("250 ok")
            case "RCPT" if known:
                recipients.append(rest.partition("<")[2].partition(">")[0])
                say("250 ok")
            case "DATA" if recipients:
                say("354 go ahead")
                lines = []
                while (line := await reader.readline()) not in (b".\r\n", b""):
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                if line:
                    keep(recipients, lines)
                    say("250 taken")
            case "RSET" | "NOOP":
                say("250 ok")
            case "QUIT":
                say("221 bye")
                break
            case _:
                say("530 first STARTTLS, then AUTH")
    writer.close()


async def main():
    server = await asyncio.start_server(serve, address, 587, limit=1 << 20)
    async with server:
        await server.serve_forever()


asyncio.run(main())
