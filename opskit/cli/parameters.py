"""Types of option values that click does not know."""

from datetime import timedelta

import click


class DurationType(click.ParamType[timedelta]):
    """A duration such as `90s`, `10m` or `6h`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration; anything else is a usage error."""
        from opskit.settings.units import parse_duration  # noqa: PLC0415 - brings pydantic: `--help` needs none

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
