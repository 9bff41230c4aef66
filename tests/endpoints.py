"""Servers of the sandbox as opskit is told of them."""

from opskit.mysql.connection import Endpoint
from sandbox.server import Account, Server


def endpoint(server: Server, account: Account | None = None) -> Endpoint:
    """The server as its administrator sees it, or as a user of it."""
    user, password = (account.user, account.password) if account else (server.user, server.password)
    return Endpoint(server.host, server.port, user, password)
