"""One command over several registries: it goes on after a failure, and exits with the gravest code."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from opskit.cli.invocation import Invocation
from opskit.errors import OpskitError
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


def for_each_registry(
    invocation: Invocation, function: Callable[[Registry], Result]
) -> list[Outcome[Result]]:
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
        except OpskitError as error:
            hint = f" ({error.hint})" if error.hint else ""
            logger.error("%s: %s%s", registry.name, error, hint)  # noqa: TRY400 - expected: no traceback
            outcomes.append(Outcome(registry.name, None, str(error), error.exit_code))
        except Exception as error:
            logger.exception("%s: a bug in opskit", registry.name)
            outcomes.append(
                Outcome(registry.name, None, f"{type(error).__name__}: {error}", OpskitError.exit_code)
            )
        invocation.codes.append(outcomes[-1].exit_code)
    return outcomes
