"""How the configuration becomes checks: which layers there are to look at, and what each needs.

Libraries are imported by the check that needs them, in its own thread: a probe of MySQL knows nothing of S3.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from opskit.probe.result import Finding, not_configured
from opskit.probe.runner import Check
from opskit.settings import Registry, Settings

# The sockets give up a little later than the check, whose word is the clearer one.
_SPARE_SECONDS = 1.0

Look = Callable[[Settings, Registry], Iterable[Finding]]


def planned_checks(settings: Settings, registries: Iterable[Registry], layers: Sequence[str]) -> list[Check]:
    """Return one check for each layer of each registry; nothing is asked yet."""
    return [
        Check(registry.name, layer, partial(_LOOKS.get(layer, _nothing), settings, registry))
        for registry in registries
        for layer in layers
    ]


def _timeout(settings: Settings) -> float:
    return settings.probe.deadline.total_seconds() + _SPARE_SECONDS


def _mysql(settings: Settings, registry: Registry) -> Iterable[Finding]:
    from opskit.probe.mysql import check  # noqa: PLC0415 - see above
    from opskit.wiring import database_endpoint  # noqa: PLC0415 - the same

    seconds = _timeout(settings)
    endpoint = replace(database_endpoint(registry), connect_timeout=seconds, read_timeout=seconds)
    return check(
        endpoint,
        registry.mysql.database,
        replica_max_lag_seconds=settings.probe.replica_max_lag.total_seconds(),
    )


def _nothing(settings: Settings, registry: Registry) -> Iterable[Finding]:
    del settings, registry
    return [not_configured()]


_LOOKS: Final[Mapping[str, Look]] = {
    "mysql": _mysql,
}
