"""How the configuration becomes database servers, and who logs in to them."""

import logging

from opskit.mysql.connection import Endpoint
from opskit.settings import Registry
from opskit.settings.endpoints import Server

logger = logging.getLogger(__name__)
_warned: set[str] = set()


def database_endpoint(registry: Registry) -> Endpoint:
    """Return the server of the live registry, and the registry's own user."""
    return _endpoint(registry, registry.mysql.user, registry.mysql.read_password())


def restore_endpoint(registry: Registry) -> Endpoint:
    """Return the same server with the user that may create staging databases, where one is configured."""
    if registry.restore is None:
        return database_endpoint(registry)
    return _endpoint(registry, registry.restore.user, registry.restore.read_password())


def rehearsal_endpoint(registry: Registry) -> Endpoint | None:
    """Return the server that is there for rehearsals, if the registry has one of its own."""
    server = registry.rehearse
    return _at(server, server.user, server.read_password()) if server else None


def _endpoint(registry: Registry, user: str, password: str) -> Endpoint:
    return _at(registry.mysql, user, password)


def _at(server: Server, user: str, password: str) -> Endpoint:
    if server.tls.mode == "required" and "tls" not in _warned:
        _warned.add("tls")
        logger.warning("the certificate of %s is not verified: set tls.ca_file", server.host)
    return Endpoint(
        host=server.host,
        port=server.port,
        user=user,
        password=password,
        tls_mode=server.tls.mode,
        ca_file=server.tls.ca_file,
        certificate_file=server.tls.certificate_file,
        key_file=server.tls.key_file,
    )
