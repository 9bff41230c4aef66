"""Which addresses may be connected to: judged on the address that the socket uses, after the name was resolved.

What a registry points to is user input, and so is the DNS of whoever writes it: a name may mean one address when it
is looked at and another when it is used. So a name is resolved once, every address it has is judged, and the
connection is made to one of those.
"""

import socket
from collections.abc import Collection, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from opskit.errors import ConfigurationError, RefusedError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Nothing that is registered lies behind these, and credentials of the machine do. The IPv6 forms of IPv4 addresses
# would let anything through that is looked at as IPv6.
_NEVER: Final = {
    ip_network(network): what
    for network, what in {
        "0.0.0.0/8": "this machine, by an address for none",
        "169.254.0.0/16": "link-local, where metadata services are",
        "100.100.100.200/32": "a metadata service",
        "168.63.129.16/32": "a metadata service",
        "192.0.0.0/24": "reserved for protocols",
        "224.0.0.0/4": "multicast",
        "240.0.0.0/4": "reserved",
        "::/128": "this machine, by an address for none",
        "::/96": "an IPv4 address in an old IPv6 form",
        "::ffff:0:0/96": "an IPv4 address mapped into IPv6",
        "::ffff:0:0:0/96": "an IPv4 address translated into IPv6",
        "64:ff9b::/96": "an IPv4 address behind NAT64",
        "64:ff9b:1::/48": "an IPv4 address behind NAT64",
        "2001::/32": "an IPv4 address behind Teredo",
        "2002::/16": "an IPv4 address behind 6to4",
        "fd00:ec2::/32": "a metadata service",
        "fe80::/10": "link-local",
        "ff00::/8": "multicast",
    }.items()
}
_LOOPBACK = ip_address("::1")  # lies in ::/96


class ForbiddenAddressError(RefusedError):
    """A name or an address leads to where opskit does not connect."""


def forbidden(address: str, *, private: bool) -> str:
    """Return why nothing may connect to an address, empty if it may; `private` allows loopback and private ranges."""
    judged = ip_address(address)
    if judged != _LOOPBACK:
        for network, what in _NEVER.items():
            if judged.version == network.version and judged in network:
                return what
    return "" if private or _public(judged) else "loopback or a private range, and the host is not configured by name"


def _public(address: IPv4Address | IPv6Address) -> bool:
    # site_local is deprecated and was private; is_global does not know it.
    return address.is_global and not (isinstance(address, IPv6Address) and address.is_site_local)


class _Judged:
    """What both kinds of connection have in common: `_new_conn` is where urllib3 opens each socket."""

    private_hosts: Collection[str] = ()
    _dns_host: str

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        private = name.strip("[]").rstrip(".").lower() in self.private_hosts
        addresses = self._resolved(name)
        for address in addresses:
            if why := forbidden(address, private=private):
                raise ForbiddenAddressError(f"{name} is at {address}: {why}")
        try:
            for number, address in enumerate(addresses, start=1):
                self._dns_host = address
                try:
                    connected: socket.socket = super()._new_conn()  # type: ignore[misc] # of whatever this is mixed into
                except NewConnectionError:
                    if number == len(addresses):
                        raise
                else:
                    return connected
        finally:
            self._dns_host = name  # TLS verifies the name, not the address
        raise ForbiddenAddressError(f"{name} has no address")

    def _resolved(self, name: str) -> list[str]:
        try:
            found = socket.getaddrinfo(name.strip("[]"), None, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            problem = error if isinstance(error, socket.gaierror) else socket.gaierror(str(error))
            raise NameResolutionError(name, self, problem) from error  # type: ignore[arg-type] # a connection, once mixed in
        return list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))


def judged_pools(
    private_hosts: Collection[str],
    http: type[HTTPConnectionPool] = HTTPConnectionPool,
    https: type[HTTPSConnectionPool] = HTTPSConnectionPool,
) -> Mapping[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools by scheme, whose connections judge each address; these hosts may be private.

    `ConfigurationError` if this urllib3 opens its sockets elsewhere: then nothing would be judged.
    """
    pools = {}
    for scheme, pool in (("http", http), ("https", https)):
        connection = pool.ConnectionCls
        if not isinstance(connection, type) or not issubclass(connection, HTTPConnection | HTTPSConnection):
            raise ConfigurationError("this urllib3 makes connections of another kind; opskit cannot guard them")
        if not callable(getattr(connection, "_new_conn", None)):
            raise ConfigurationError("this urllib3 opens sockets in another place; opskit cannot guard them")
        judged = type("JudgedConnection", (_Judged, connection), {"private_hosts": frozenset(private_hosts)})
        pools[scheme] = type("JudgedPool", (pool,), {"ConnectionCls": judged})
    return pools


def guard(client: "S3Client", private_hosts: Collection[str]) -> "S3Client":
    """Have a boto3 client judge each address that it connects to, and return it."""
    manager = getattr(getattr(client._endpoint, "http_session", None), "_manager", None)  # type: ignore[attr-defined] # noqa: SLF001 - botocore has no door for this
    present = getattr(manager, "pool_classes_by_scheme", None)
    if manager is None or not isinstance(present, dict):
        raise ConfigurationError("this botocore keeps its connections elsewhere; opskit cannot guard them")
    manager.pool_classes_by_scheme = judged_pools(private_hosts, present["http"], present["https"])
    return client
