"""How the configuration becomes checks: which layers there are to look at, and what each needs.

Libraries are imported here, for the layers that are wanted and no others, before any clock runs: in a pod with a tenth
of a processor boto3 alone takes longer to import than a check may take. What can fail is left to the check: a secret
that cannot be read is its finding.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

from opskit.errors import OpskitError
from opskit.probe.result import Finding, State, not_configured
from opskit.probe.runner import Check
from opskit.settings import Registry, Settings
from opskit.settings.endpoints import HttpEndpoint

if TYPE_CHECKING:
    from opskit.mysql.connection import Endpoint
    from opskit.probe.web import Web
    from opskit.storage import Storage

# The sockets give up a little later than the check, whose word is the clearer one.
_SPARE_SECONDS = 1.0

Look = Callable[[], Iterable[Finding]]


def planned_checks(
    settings: Settings,
    registries: Iterable[Registry],
    layers: Sequence[str],
    *,
    unreadable: Mapping[str, OpskitError] | None = None,
    write: bool = False,
) -> list[Check]:
    """Return one check for each layer of each registry; nothing is asked yet.

    Of a registry that discovery could not read, the first layer is unknown, and why is all that there is to say.
    With `write` the storage is written to as well: an object of our own, which is deleted again.
    """
    plan = _Plan(settings, write=write)
    checks = [Check(registry.name, layer, _LOOKS[layer](plan, registry)) for registry in registries for layer in layers]
    return checks + [Check(name, layers[0], partial(_unknown, error)) for name, error in (unreadable or {}).items()]


@dataclass
class _Plan:
    """What the checks of one run have in common."""

    settings: Settings
    write: bool

    @property
    def timeout(self) -> float:
        return self.settings.probe.deadline.total_seconds() + _SPARE_SECONDS

    @cached_property
    def storage(self) -> "Callable[[], Storage]":
        """The storage, opened once and asked nothing yet; calling it raises what opening raised."""
        from opskit.wiring import configured_storage  # noqa: PLC0415 - see above

        try:
            opened = configured_storage(self.settings)
        except OpskitError as error:
            return _raising(error)
        return lambda: opened

    def web(self, endpoint: HttpEndpoint) -> "Web":
        from opskit.probe.web import Web  # noqa: PLC0415 - see above

        return Web(endpoint.url, self.timeout, endpoint.ca_file, endpoint.read_token, endpoint.extra_ca_file)

    def database(self, registry: Registry) -> "Endpoint":
        from opskit.endpoints import database_endpoint  # noqa: PLC0415 - see above

        return replace(database_endpoint(registry), connect_timeout=self.timeout, read_timeout=self.timeout)


def _raising(error: OpskitError) -> "Callable[[], Storage]":
    def fail() -> "Storage":
        raise error

    return fail


def _unknown(error: OpskitError) -> Iterable[Finding]:
    return [Finding(State.UNKNOWN, error.message, error.hint)]


def _nothing() -> Iterable[Finding]:
    return [not_configured()]


def _mysql(plan: _Plan, registry: Registry) -> Look:
    from opskit.probe.mysql import check  # noqa: PLC0415 - see above

    limits = plan.settings.probe
    return lambda: check(
        plan.database(registry),
        registry.mysql.database,
        replica_max_lag_seconds=limits.replica_max_lag.total_seconds(),
        certificate_min_days=limits.certificate_min_days,
    )


def _rest(plan: _Plan, registry: Registry) -> Look:
    if registry.rest is None:
        return _nothing
    from opskit.probe.rest import check  # noqa: PLC0415 - see above

    web = plan.web(registry.rest)
    return lambda: check(web, certificate_min_days=plan.settings.probe.certificate_min_days)


def _proxy(plan: _Plan, registry: Registry) -> Look:
    if registry.proxy is None:
        return _nothing
    from opskit.probe.proxy import check  # noqa: PLC0415 - see above

    web = plan.web(registry.proxy)
    return lambda: check(web, certificate_min_days=plan.settings.probe.certificate_min_days)


def _grpc(plan: _Plan, registry: Registry) -> Look:
    if registry.grpc is None:
        return _nothing
    try:
        from opskit.probe.grpc import check  # noqa: PLC0415 - see above
    except ImportError:
        return lambda: [Finding(State.UNKNOWN, "grpcio is not installed", "pip install 'opskit[probe]'")]
    from opskit.probe.mysql import is_embedmd  # noqa: PLC0415 - see above

    def no_grpc_expected() -> bool:
        return is_embedmd(plan.database(registry), registry.mysql.database)

    address = registry.grpc.address
    return lambda: check(address, timeout=plan.timeout, is_embedmd=no_grpc_expected)


def _operator(plan: _Plan, registry: Registry) -> Look:
    del plan
    if registry.deployment is None:
        return _nothing
    try:
        from opskit.kubernetes_api import connect  # noqa: PLC0415 - see above
    except ImportError:
        return lambda: [Finding(State.UNKNOWN, "kubernetes is not installed", "pip install 'opskit[cluster]'")]
    from opskit.probe.operator import check  # noqa: PLC0415 - see above

    # The operator gives the Deployment the name of its custom resource.
    deployment = registry.deployment
    return lambda: check(connect(), deployment.namespace, deployment.name, datetime.now(UTC))


def _storage(plan: _Plan, registry: Registry) -> Look:
    del registry
    from opskit.probe.storage import check  # noqa: PLC0415 - see above

    storage = plan.storage
    return lambda: check(storage(), write=plan.write)


def _backup(plan: _Plan, registry: Registry) -> Look:
    from opskit.probe.backup import check  # noqa: PLC0415 - see above

    storage, max_age = plan.storage, plan.settings.probe.backup_max_age
    return lambda: check(storage(), registry.name, max_age, datetime.now(UTC))


def _rehearsal(plan: _Plan, registry: Registry) -> Look:
    from opskit.probe.rehearsal import check  # noqa: PLC0415 - see above

    storage, max_age = plan.storage, plan.settings.probe.rehearsal_max_age
    return lambda: check(storage(), registry.name, max_age, datetime.now(UTC))


def _artifacts(plan: _Plan, registry: Registry) -> Look:
    from opskit.probe.artifacts import check  # noqa: PLC0415 - see above

    storage, max_age = plan.storage, plan.settings.probe.artifacts_max_age
    configured = bool(plan.settings.artifacts.stores)
    return lambda: check(storage(), registry.name, max_age, datetime.now(UTC), configured=configured)


_LOOKS: Final[Mapping[str, Callable[[_Plan, Registry], Look]]] = {
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
