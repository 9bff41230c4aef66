"""A URL that is called after each success of a job, so that somebody outside notices when none comes."""

import http.client
import logging
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

from opskit.errors import ConfigurationError

logger = logging.getLogger(__name__)

_SECONDS = 10.0


def beat(job: str, read_url: Callable[[], str | None]) -> bool:
    """Call the URL, if there is one, and return whether that was heard.

    A failure, even to read the URL, is logged, without the URL, and harms nothing.

    Proxies of the environment are used: the listener is outside the cluster.
    """
    listener = None
    try:
        url = read_url()
        if url is None:
            return False
        parts = urlsplit(url)
        listener = parts.hostname
        if parts.scheme not in ("http", "https"):
            raise ValueError("the URL is neither http nor https")  # noqa: TRY301 - said in one place below
        request = urllib.request.Request(url, headers={"User-Agent": "opskit"})  # noqa: S310 - looked at above
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - the same
            return True
    except ConfigurationError as error:
        logger.warning("the heartbeat of job %s cannot be sent: %s", job, error.message)
        return False
    except (OSError, ValueError, http.client.HTTPException) as error:
        logger.warning("the heartbeat of job %s was not heard by %s: %s", job, listener, type(error).__name__)
        return False
