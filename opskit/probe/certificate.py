"""How long a server's certificate is valid yet, whoever signed it."""

import socket
import ssl
from datetime import UTC, datetime

from cryptography import x509

from opskit.errors import UnavailableError
from opskit.probe.result import Finding, State
from opskit.probe.web import Web

RUNBOOK = "certificate-expiring"


def certificate(web: Web, minimum_days: int, now: datetime) -> Finding:
    """Say how many days the certificate is valid yet; whether it can be trusted is told by the request itself.

    Nothing is sent over this connection: the server's name is not verified.
    """
    expiry = _expiry(web)
    days = (expiry - now).total_seconds() / 86_400
    values = {"certificate_expiry_timestamp_seconds": expiry.timestamp()}
    if days <= 0:
        return Finding(State.CRITICAL, f"the certificate expired on {expiry:%Y-%m-%d}", "renew it", RUNBOOK, values)
    return Finding(
        State.WARNING if days < minimum_days else State.OK,
        f"the certificate is valid for {int(days)} days",
        "renew it before it expires",
        RUNBOOK,
        values,
    )


def _expiry(web: Web) -> datetime:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = web.address
    try:
        with (
            socket.create_connection((host, port), timeout=web.timeout) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            content = encrypted.getpeercert(binary_form=True) or b""
        return x509.load_der_x509_certificate(content).not_valid_after_utc.astimezone(UTC)
    except (OSError, ValueError) as error:
        raise UnavailableError(f"no certificate from {host}:{port}: {error or type(error).__name__}") from error
