"""A certificate for local servers, from an authority of its own."""

from pathlib import Path

import trustme


def trusted_certificate(folder: Path) -> list[str]:
    """Write `ca.pem` and a certificate for 127.0.0.1 and localhost; return the server's options for it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "server-key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "server-cert.pem"))
    return [
        f"--ssl-ca={folder / 'ca.pem'}",
        f"--ssl-cert={folder / 'server-cert.pem'}",
        f"--ssl-key={folder / 'server-key.pem'}",
    ]
