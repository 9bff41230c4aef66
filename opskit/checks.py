"""How the configuration becomes checks: which layers there are to look at, and what each needs.

Libraries are imported by the check that needs them, in its own thread: a probe of MySQL knows nothing of S3.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from opskit.probe.result import Finding, State, not_configured
from opskit.probe.runner import Check
from opskit.settings import Registry, Settings
from opskit.settings.endpoints import HttpEndpoint

if TYPE_CHECKING:
    from opskit.mysql.connection import Endpoint
    from opskit.probe.web import Web

# The sockets give up a little later than the check, whose word is the clearer one.
_SPARE_SECONDS = 1.0

Look = Callable[[Settings, Registry], Iterable[Finding]]


def planned_checks(
    settings: Settings, registries: Iterable[Registry], layers: Sequence[str], *, write: bool = False
) -> list[Check]:
    """Return one check for each layer of each registry; nothing is asked yet.

    With `write` the storage is written to as well: an object of our own, which is deleted again.
    """
    looks: dict[str, Look] = {**_LOOKS, "storage": partial(_storage, write=write)}
    return [
        Check(registry.name, layer, partial(looks[layer], settings, registry))
        for registry in registries
        for layer in layers
    ]


def _timeout(settings: Settings) -> float:
    return settings.probe.deadline.total_seconds() + _SPARE_SECONDS


def _mysql(settings: Settings, registry: Registry) -> Iterable[Finding]:
    from opskit.probe.mysql import check  # noqa: PLC0415 - see above

    return check(
        _database(settings, registry),
        registry.mysql.database,
        replica_max_lag_seconds=settings.probe.replica_max_lag.total_seconds(),
    )


def _database(settings: Settings, registry: Registry) -> "Endpoint":
    from opskit.wiring import database_endpoint  # noqa: PLC0415 - the same

    seconds = _timeout(settings)
    return replace(database_endpoint(registry), connect_timeout=seconds, read_timeout=seconds)


def _rest(settings: Settings, registry: Registry) -> Iterable[Finding]:
    if registry.rest is None:
        return [not_configured()]
    from opskit.probe.rest import check  # noqa: PLC0415 - the same

    return check(_web(settings, registry.rest), certificate_min_days=settings.probe.certificate_min_days)


def _proxy(settings: Settings, registry: Registry) -> Iterable[Finding]:
    if registry.proxy is None:
        return [not_configured()]
    from opskit.probe.proxy import check  # noqa: PLC0415 - the same

    return check(_web(settings, registry.proxy), certificate_min_days=settings.probe.certificate_min_days)


def _web(settings: Settings, endpoint: HttpEndpoint) -> "Web":
    from opskit.probe.web import Web  # noqa: PLC0415 - the same

    return Web(endpoint.url, _timeout(settings), endpoint.ca_file, endpoint.read_token)


def _grpc(settings: Settings, registry: Registry) -> Iterable[Finding]:
    if registry.grpc is None:
        return [not_configured()]
    try:
        from opskit.probe.grpc import check  # noqa: PLC0415 - the same
    except ImportError:
        return [Finding(State.UNKNOWN, "grpcio is not installed", "pip install 'opskit[probe]'")]
    from opskit.probe.mysql import is_embedmd  # noqa: PLC0415 - the same

    def no_grpc_expected() -> bool:
        return is_embedmd(_database(settings, registry), registry.mysql.database)

    return check(registry.grpc.address, timeout=_timeout(settings), is_embedmd=no_grpc_expected)


def _operator(settings: Settings, registry: Registry) -> Iterable[Finding]:
    del settings
    if registry.deployment is None:
        return [not_configured()]
    try:
        from opskit.kubernetes_api import connect  # noqa: PLC0415 - the same
    except ImportError:
        return [Finding(State.UNKNOWN, "the library kubernetes is not installed", "pip install 'opskit[cluster]'")]
    from opskit.probe.operator import check  # noqa: PLC0415 - the same

    # The operator gives the Deployment the name of its custom resource.
    return check(connect(), registry.deployment.namespace, registry.deployment.name, datetime.now(UTC))


def _storage(settings: Settings, registry: Registry, *, write: bool = False) -> Iterable[Finding]:
    del registry
    from opskit.probe.storage import check  # noqa: PLC0415 - the same
    from opskit.wiring import configured_storage  # noqa: PLC0415 - the same

    return check(configured_storage(settings), write=write)


def _backup(settings: Settings, registry: Registry) -> Iterable[Finding]:
    from opskit.probe.backup import check  # noqa: PLC0415 - the same
    from opskit.wiring import configured_storage  # noqa: PLC0415 - the same

    return check(configured_storage(settings), registry.name, settings.probe.backup_max_age, datetime.now(UTC))


def _rehearsal(settings: Settings, registry: Registry) -> Iterable[Finding]:
    from opskit.probe.rehearsal import check  # noqa: PLC0415 - the same
    from opskit.wiring import configured_storage  # noqa: PLC0415 - the same

    return check(configured_storage(settings), registry.name, settings.probe.rehearsal_max_age, datetime.now(UTC))


def _artifacts(settings: Settings, registry: Registry) -> Iterable[Finding]:
    from opskit.probe.artifacts import check  # noqa: PLC0415 - the same
    from opskit.wiring import configured_storage  # noqa: PLC0415 - the same

    return check(
        configured_storage(settings),
        registry.name,
        settings.probe.artifacts_max_age,
        datetime.now(UTC),
        configured=bool(settings.artifacts.stores),
    )


_LOOKS: Final[Mapping[str, Look]] = {
    "mysql": _mysql,
    "rest": _rest,
    "grpc": _grpc,
    "proxy": _proxy,
    "operator": _operator,
    "storage": _storage,
    "backup": _backup,
    "rehearsal": _rehearsal,
    "artifacts": _artifacts,
}
