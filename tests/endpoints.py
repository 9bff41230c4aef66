"""Servers of the sandbox as opskit is told of them."""

from opskit.mysql.connection import Endpoint, TlsMode
from sandbox.server import Account, Server


def endpoint(server: Server, account: Account | None = None) -> Endpoint:
    """The server as its administrator sees it, or as a user of it."""
    user, password = (account.user, account.password) if account else (server.user, server.password)
    # The MariaDB of the sandbox has no certificate.
    tls: TlsMode = "required" if server.product == "MySQL" else "disabled"
    return Endpoint(server.host, server.port, user, password, tls_mode=tls)
