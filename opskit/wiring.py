"""How the configuration becomes the parts that jobs are made of: endpoints and storage."""

import logging

from opskit.mysql.connection import Endpoint
from opskit.settings import Registry, Settings
from opskit.storage import Storage
from opskit.storage.opening import open_storage

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


def _endpoint(registry: Registry, user: str, password: str) -> Endpoint:
    server = registry.mysql
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
    )


def configured_storage(settings: Settings) -> Storage:
    """Open the storage that backups are in."""
    store = settings.storage
    return open_storage(
        store.url,
        endpoint_url=store.endpoint_url,
        region=store.region,
        ca_file=store.ca_file,
        path_style=store.uses_path_style,
    )
