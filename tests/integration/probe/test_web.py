"""One answer over HTTP has a deadline as a whole, however lively the server seems."""

import pytest

from opskit.errors import UnavailableError
from opskit.probe.web import Web, get, peer_certificate
from tests.dripping import HANDSHAKE, HEAD, dripping

TIMEOUT = 0.5


@pytest.mark.parametrize(
    ("scheme", "beginning"), [("http", b""), ("http", HEAD), ("https", HANDSHAKE)], ids=["head", "body", "handshake"]
)
def test_answer_that_drips_is_given_up_at_the_deadline(scheme: str, beginning: bytes) -> None:
    with dripping(beginning) as port, pytest.raises(UnavailableError, match=r"no whole answer within 0\.5 s"):
        get(Web(f"{scheme}://127.0.0.1:{port}", TIMEOUT), "/")


def test_certificate_that_drips_is_given_up_at_the_deadline() -> None:
    with dripping(HANDSHAKE) as port, pytest.raises(UnavailableError, match=r"no whole answer within 0\.5 s"):
        peer_certificate(Web(f"https://127.0.0.1:{port}", TIMEOUT))
