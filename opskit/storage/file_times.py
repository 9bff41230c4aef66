"""Times of files: whoever may write one may give it any, one beyond the calendar too."""

import os
from datetime import UTC, datetime, timedelta
from typing import Final

# A day from either end, so that every time zone can tell them.
_EARLIEST: Final = (datetime.min.replace(tzinfo=UTC) + timedelta(days=1)).timestamp()
_LATEST: Final = (datetime.max.replace(tzinfo=UTC) - timedelta(days=1)).timestamp()


def modified(facts: os.stat_result) -> datetime:
    """Return when a file was last written, in UTC; the end of the calendar where that is beyond it."""
    return datetime.fromtimestamp(max(_EARLIEST, min(facts.st_mtime, _LATEST)), UTC)
