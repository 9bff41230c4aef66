"""Artifacts behind `http:` and `https:`: one HEAD each, and one byte where that does not tell."""

import re

from urllib3 import BaseHTTPResponse

from opskit.artifacts.hosts import Hosts
from opskit.artifacts.origin import make_origin
from opskit.artifacts.uri import HttpLocation
from opskit.artifacts.verdict import Finding, Fingerprint

_GONE = (404, 410)
_DENIED = (401, 403, 407)
# A server that does not know HEAD.
_NO_HEAD = (405, 501)
# Python reads no number of thousands of digits.
_LENGTH = re.compile(r"[0-9]{1,18}")
_OK, _PARTIAL, _NO_RANGE, _FIRST_ERROR = 200, 206, 416, 300


def look_at_document(hosts: Hosts, location: HttpLocation) -> Finding:
    """Return whether the document is there: only 404 and 410 say that it is not."""
    origin = make_origin(location.scheme, location.host, location.port)
    if origin is None:
        return Finding("malformed", "the host is no name or address")
    with hosts.ask("HEAD", origin, location.target, {}, login=True) as answer:
        finding = finding_of(answer)
        # Some servers say of every document that they are asked for by HEAD that it has no bytes.
        if answer.status not in _NO_HEAD and finding.verdict != "empty":
            return finding
    with hosts.ask("GET", origin, location.target, {"Range": "bytes=0-0"}, login=True) as answer:
        return finding_of(answer)


def finding_of(answer: BaseHTTPResponse) -> Finding:
    """Return what a status means for whatever was asked for."""
    if answer.status in _GONE:
        return Finding("missing", f"the server answered {answer.status}")
    if answer.status in _DENIED:
        return Finding("denied", f"the server answered {answer.status}")
    if answer.status == _NO_RANGE:
        return Finding("empty", "zero bytes")  # not even its first byte could be had
    if not _OK <= answer.status < _FIRST_ERROR:
        return Finding("unreachable", f"the server answered {answer.status}, which says neither")
    size = _size(answer)
    if size == 0:
        return Finding("empty", "zero bytes")
    tag = answer.headers.get("Docker-Content-Digest") or answer.headers.get("ETag", "").strip('"')
    return Finding("present", "", Fingerprint("object", tag, size, 1, answer.headers.get("Last-Modified")))


def _size(answer: BaseHTTPResponse) -> int | None:
    text = answer.headers.get("Content-Length", "")
    if answer.status == _PARTIAL:
        text = answer.headers.get("Content-Range", "").rpartition("/")[2]
    return int(text) if _LENGTH.fullmatch(text) else None
