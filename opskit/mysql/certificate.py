"""The certificate that a server shows."""

import ssl
from typing import Any

from opskit.mysql.connection import Connection


def server_certificate(connection: Connection) -> bytes | None:
    """Return the server's certificate in DER, whether it was verified or not; None without TLS."""
    private: Any = connection
    channel = private._sock  # noqa: SLF001 - PyMySQL shows it nowhere else; a test pins it
    return channel.getpeercert(binary_form=True) if isinstance(channel, ssl.SSLSocket) else None
