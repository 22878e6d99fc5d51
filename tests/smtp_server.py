"""A mail server for tests/it/email.rs, over aiosmtpd. Writes its port, then a line of JSON for each message that it takes.

What it does with a recipient is in the name: `later@` is told 451 at its first time, `never@` 550; `drop-answer@` has the connection end
after the message was taken over, once; `full@` has the message refused for now, once; `spam@` for good; `silent@` is not answered behind the message, once;
`both@` is refused for now and then for good; `gone@` has the connection end before the message, once.
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword


class Handler:
    def __init__(self):
        self.seen = set()

    def first(self, what):
        new = what not in self.seen
        self.seen.add(what)
        return new

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("later@") and self.first(address):
            return "451 4.7.1 greylisted, come again"
        if address.startswith("both@"):
            return "451 4.7.1 come again" if self.first(address) else "550 5.7.1 not you"
        if address.startswith("gone@") and self.first(address):
            server.transport.abort()
        if address.startswith("never@"):
            return f"550 5.1.1 no such user {address}"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        names = [address.split("@")[0] for address in envelope.rcpt_tos]
        if "full" in names and self.first("full"):
            return "452 4.3.1 the disk is full"
        if "spam" in names:
            return "554 5.7.1 this is spam"
        print(
            json.dumps(
                {
                    "from": envelope.mail_from,
                    "to": envelope.rcpt_tos,
                    "data": envelope.content.decode("utf-8", "replace"),
                    "tls": session.ssl is not None or sys.argv[1] == "tls",
                    "login": getattr(session.auth_data, "login", b"").decode() if session.auth_data else None,
                }
            ),
            flush=True,
        )
        if "silent" in names and self.first("silent"):
            await asyncio.sleep(3600)
        if "drop-answer" in names and self.first("drop-answer"):
            server.transport.abort()
        return "250 OK: taken"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ann", sys.argv[3].encode())
    return AuthResult(success=good, handled=False, auth_data=data)


async def main():
    mode, folder = sys.argv[1], sys.argv[2]
    handler, context, options = Handler(), None, {}
    if mode != "plain":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
        options = {"authenticator": authenticate, "auth_required": True}
    if mode == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if mode == "tls":
        options |= {"auth_require_tls": False}
    loop = asyncio.get_running_loop()
    tls = context if mode == "tls" else None
    server = await loop.create_server(lambda: SMTP(handler, enable_SMTPUTF8=True, loop=loop, **options), "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
