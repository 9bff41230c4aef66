"""A URL that is called after each success of a job, so that somebody outside notices when none comes."""

import http.client
import logging
import urllib.request
from urllib.parse import urlsplit

logger = logging.getLogger(__name__)

_SECONDS = 10.0


def beat(job: str, url: str) -> bool:
    """Call the URL and return whether that was heard; a failure is logged, without the URL, and harms nothing.

    Proxies of the environment are used: the listener is outside the cluster.
    """
    listener = None
    try:
        parts = urlsplit(url)
        listener = parts.hostname
        if parts.scheme not in ("http", "https"):
            raise ValueError("the URL is neither http nor https")  # noqa: TRY301 - said in one place below
        request = urllib.request.Request(url, headers={"User-Agent": "opskit"})  # noqa: S310 - looked at above
        with urllib.request.urlopen(request, timeout=_SECONDS):  # noqa: S310 - the same
            return True
    except (OSError, ValueError, http.client.HTTPException) as error:
        logger.warning("the heartbeat of job %s was not heard by %s: %s", job, listener, type(error).__name__)
        return False
