"""Artifacts behind `oci:`: a HEAD of the manifest, as the OCI distribution specification has it.

A registry answers 401 and names where a token is to be had. It chooses that place, so it is asked only if the
configuration has it, and gets its own login and nobody else's.
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import urlencode

from opskit.artifacts.documents import finding_of
from opskit.artifacts.hosts import Hosts, NotConfiguredError, body_of
from opskit.artifacts.origin import Origin, make_origin
from opskit.artifacts.uri import HttpLocation, OciLocation, parse
from opskit.artifacts.verdict import Finding
from opskit.errors import UnavailableError

_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_UNAUTHORIZED, _OK = 401, 200
_PARAMETER = re.compile(r'([a-z_]+)="([^"\\]*)"')


def look_at_image(hosts: Hosts, location: OciLocation) -> Finding:
    """Return whether the registry has this manifest."""
    origin = hosts.origin(location.host, location.port)
    if origin is None:
        return Finding("endpoint-not-allowed", f"{location.host}:{location.port} is not among the configured hosts")
    target = f"/v2/{location.repository}/manifests/{location.reference}"
    headers = {"Accept": ", ".join(_MANIFESTS)}
    with hosts.ask("HEAD", origin, target, headers) as answer:
        if answer.status != _UNAUTHORIZED:
            return finding_of(answer)
        challenge = answer.headers.get("WWW-Authenticate", "")
    authorization = _authorization(hosts, origin, challenge, location.repository)
    if not authorization:
        return Finding("denied", "the registry wants a login, and none is configured for it")
    with hosts.ask("HEAD", origin, target, {**headers, **authorization}) as answer:
        return finding_of(answer)


def _authorization(hosts: Hosts, origin: Origin, challenge: str, repository: str) -> Mapping[str, str]:
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() != "bearer":
        login = hosts.login(origin)
        return {"Authorization": login["authorization"]} if login else {}
    parameters = dict(_PARAMETER.findall(rest))
    realm = parse(parameters.get("realm", ""))
    place = make_origin(realm.scheme, realm.host, realm.port) if isinstance(realm, HttpLocation) else None
    if place is None or not isinstance(realm, HttpLocation):
        raise NotConfiguredError(f"{origin} sends to what is no plain URL for a token")
    if origin.scheme == "https" and place.scheme != "https":
        raise NotConfiguredError(f"{origin} sends to a connection without TLS for a token")
    # The scope is ours: what the server asks for may be more than a look.
    query = {"service": parameters.get("service", ""), "scope": f"repository:{repository}:pull"}
    separator = "&" if "?" in realm.target else "?"
    with hosts.ask("GET", place, f"{realm.target}{separator}{urlencode(query)}", {}, login=True) as answer:
        if answer.status != _OK:
            return {}
        return {"Authorization": f"Bearer {_token(body_of(answer), place)}"}


def _token(body: bytes, place: Origin) -> str:
    try:
        document = json.loads(body)
        token = document.get("token") or document.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        token = None
    if not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
        raise UnavailableError(f"{place} answered without a token")
    return token
