"""One command over several registries: it goes on after a failure, and exits with the gravest code."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opskit.cli import BUG
from opskit.cli.invocation import Invocation
from opskit.errors import OpskitError
from opskit.redaction import mask
from opskit.settings import Registry

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What became of one registry: a result, or the message and code of its error."""

    registry: str
    result: Result | None = None
    error: str | None = None
    exit_code: int = 0


def for_each_registry(invocation: Invocation, function: Callable[[Registry], Result]) -> list[Outcome[Result]]:
    """Call the function for each registry chosen, log each error, and remember its exit code.

    A single registry's error is raised as it is.
    """
    registries = invocation.registries
    if len(registries) == 1:
        return [Outcome(registries[0].name, function(registries[0]))]
    outcomes = []
    for registry in registries:
        try:
            outcomes.append(Outcome(registry.name, function(registry)))
        except Exception as error:  # noqa: BLE001 - even a bug in one must not stop the others
            outcomes.append(_failed(registry.name, error))
        invocation.codes.append(outcomes[-1].exit_code)
    return outcomes


def _failed(registry: str, error: Exception) -> Outcome[Any]:
    if isinstance(error, OpskitError) and error.exit_code != BUG:
        logger.error("%s: %s%s", registry, error, f" ({error.hint})" if error.hint else "")
        return Outcome(registry, None, mask(str(error)), error.exit_code)
    logger.error("%s: a bug in opskit", registry, exc_info=error)
    return Outcome(registry, None, mask(f"{type(error).__name__}: {error}"), BUG)
