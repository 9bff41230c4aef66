"""One command over several registries: it goes on after a failure, and exits with the gravest code."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from opskit.cli import BUG, error_fields
from opskit.cli.invocation import Invocation
from opskit.errors import OpskitError
from opskit.settings import Registry

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Result]):
    """What became of one registry: a result, or the message, hint and exit code of its error."""

    registry: str
    result: Result | None = None
    error: Mapping[str, object] | None = None


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
            outcomes.append(_failed(invocation, registry.name, error))
    return outcomes


def _failed(invocation: Invocation, registry: str, error: Exception) -> Outcome[Any]:
    if isinstance(error, OpskitError) and error.exit_code != BUG:
        logger.error("%s: %s", registry, error.told)
        message, hint, code = error.message, error.hint, error.exit_code
    else:
        logger.error("%s: a bug in opskit", registry, exc_info=error)
        message, hint, code = f"{type(error).__name__}: {error}", None, BUG
    invocation.codes.append(code)
    return Outcome(registry, error=error_fields(message, hint, code))
