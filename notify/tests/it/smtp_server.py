"""A mail server for tests: aiosmtpd, which keeps each mail as a file and refuses what it is told to.

Arguments: folder, security (none, starttls or tls). Writes `port` into the folder once it listens. Recipients that begin with
`refused` get 550, with `later` 450. In the folder, a file `busy` holds an answer to every MAIL command. With TLS it wants a login.
"""
import asyncio
import json
import pathlib
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

folder, security = pathlib.Path(sys.argv[1]), sys.argv[2]
count = 0


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        busy = folder / "busy"
        if busy.exists():
            return busy.read_text().strip()
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "450 4.2.1 try again"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        global count
        count += 1
        (folder / f"{count:03}.json").write_text(json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos}))
        (folder / f"{count:03}.part").write_bytes(envelope.original_content)
        (folder / f"{count:03}.part").rename(folder / f"{count:03}.eml")
        return f"250 kept as {count}"


def authenticate(server, session, envelope, mechanism, data):
    is_good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"user", b"a-secret-token-that-nobody-may-read")
    return AuthResult(success=is_good, handled=False)


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(folder / "server.pem", folder / "server.key")
    return made


def server():
    if security == "none":
        return SMTP(Handler(), hostname="mail.test", enable_SMTPUTF8=True)
    tls = {"tls_context": context(), "require_starttls": True} if security == "starttls" else {"auth_require_tls": False}
    return SMTP(Handler(), hostname="mail.test", authenticator=authenticate, auth_required=True, **tls)


async def main():
    listening = await asyncio.get_running_loop().create_server(
        server, "127.0.0.1", 0, ssl=context() if security == "tls" else None
    )
    (folder / "port.part").write_text(str(listening.sockets[0].getsockname()[1]))
    (folder / "port.part").rename(folder / "port")
    await listening.serve_forever()


asyncio.run(main())
