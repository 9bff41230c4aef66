"""How long a server's certificate is valid yet, whoever signed it."""

from datetime import UTC, datetime

from cryptography import x509

from opskit.errors import UnavailableError
from opskit.probe.result import Finding, State

RUNBOOK = "certificate-expiring"


def judged_certificate(content: bytes, minimum_days: int) -> Finding:
    """Say how many days a certificate, in DER, is valid yet; whether it can be trusted is not told here.

    Raises `UnavailableError` if it is none.
    """
    try:
        expiry = x509.load_der_x509_certificate(content).not_valid_after_utc.astimezone(UTC)
    except ValueError as error:
        raise UnavailableError(f"the server's certificate cannot be read: {error}") from error
    days = (expiry - datetime.now(UTC)).total_seconds() / 86_400
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
