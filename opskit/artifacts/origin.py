"""Scheme, host and port: what the configuration allows, and what a URI asks for, in one comparable form."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"(?:\*\.)?[a-z0-9]([a-z0-9._-]*[a-z0-9])?")
_AMAZON = re.compile(r"s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """A server; the host is in lower case, without a final dot, an IPv6 address in its shortest form and brackets."""

    scheme: str
    host: str
    port: int

    @property
    def is_amazon(self) -> bool:
        """Whether it is one of Amazon's own S3 endpoints."""
        return self.scheme == "https" and self.port == _PORTS["https"] and bool(_AMAZON.fullmatch(self.host))

    def covers(self, other: "Origin") -> bool:
        """Tell whether this is the other, or `*.` before a domain that the other lies in."""
        if (self.scheme, self.port) != (other.scheme, other.port):
            return False
        return self.host == other.host or (self.host.startswith("*.") and other.host.endswith(self.host[1:]))

    def __str__(self) -> str:
        port = "" if self.port == _PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{self.host}{port}"


def origin_of(url: str) -> Origin | None:
    """Return the server that a URL names; None if it is not plainly one, with nothing before or behind it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    scheme = parts.scheme.lower()
    extras = "@" in parts.netloc or parts.path not in ("", "/") or parts.query or parts.fragment or "\\" in url
    if scheme not in _PORTS or not host or extras or not url.isascii() or not url.isprintable() or " " in url:
        return None
    return make_origin(scheme, host, port)


def make_origin(scheme: str, host: str, port: int | None = None) -> Origin | None:
    """Return the server of these parts; None if the host is no name or address."""
    host = host.lower().strip("[]").removesuffix(".")
    if ":" in host:
        try:
            host = f"[{IPv6Address(host).compressed}]"
        except ValueError:
            return None
    elif not _HOST.fullmatch(host):
        return None
    return Origin(scheme, host, port or _PORTS[scheme])
