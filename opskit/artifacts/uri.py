"""What an artifact's URI means: free text, written by several programs and by hand, and hostile until parsed.

Nothing here asks anybody anything. The rules are those by which the registry's clients write URIs and KServe reads
them (kserve_storage.py): the path is literal, never percent-decoded; a query belongs to the registry's clients alone.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote

# The most that S3 allows.
_KEY_BYTES = 1024
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?://)?(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_CLAIM = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_AUTHORITY = re.compile(rf"(?P<host>{_HOST.pattern})(?::(?P<port>[0-9]{{1,5}}))?")
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")

# Of the OCI distribution specification: names, tags and digests.
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,128}")
_DOCKER_HUB = "registry-1.docker.io"

# KServe reads these by protocols of their own: a HEAD of the address says nothing.
_OTHER_PROTOCOLS = re.compile(r"\.(?:blob|file)\.core\.windows\.net$|\.z[0-9]+\.blob\.storage\.azure\.net$")


@dataclass(frozen=True, slots=True)
class S3Location:
    """An object, or a folder of objects, in a bucket; `endpoint` is what the URI claims, which nobody has to believe.

    `key` is None where only a folder is meant; `folder` is empty for the whole bucket, else ends in `/`.
    """

    bucket: str
    key: str | None
    folder: str
    endpoint: str | None = None


@dataclass(frozen=True, slots=True)
class FileLocation:
    """A path, as `file:///…` or `pvc://claim/…` spells it, without segments that lead upwards."""

    uri: str


@dataclass(frozen=True, slots=True)
class HttpLocation:
    """One document; `target` is path and query as they are sent."""

    scheme: str
    host: str
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class OciLocation:
    """A manifest in a registry of images; `reference` is a tag or a digest."""

    host: str
    port: int
    repository: str
    reference: str


@dataclass(frozen=True, slots=True)
class ConnectionLocation:
    """A path behind a data connection: `storage_key` and `storage_path`, without a URI."""

    connection: str
    path: str


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A kind of URI that opskit does not ask about."""

    reason: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A text that names no place, or that programs would read differently."""

    reason: str


Location = S3Location | FileLocation | HttpLocation | OciLocation | ConnectionLocation | Unsupported | Malformed


def locate(uri: str | None, storage_key: str | None = None, storage_path: str | None = None) -> Location:
    """Return where an artifact claims to be; the URI counts before the data connection."""
    if uri:
        return parse(uri)
    if not storage_key or not storage_path:
        return Malformed("neither a URI nor storage_key and storage_path")
    problem = _problem_in_path(storage_path)
    return Malformed(problem) if problem else ConnectionLocation(storage_key, storage_path.lstrip("/"))


def parse(uri: str) -> Location:
    """Return what a URI means; never raises."""
    if not uri.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in uri):
        return Malformed("a control character, or half a surrogate pair")
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return Malformed("no scheme such as s3://")
    scheme = match[1].lower()
    if f"{match[1]}://" != uri[: len(scheme) + 3]:
        return Malformed(f"'//' is missing after {scheme}:")
    if scheme == "s3":
        return _s3(match[2])
    if scheme in ("http", "https"):
        return _http(scheme, match[2])
    if scheme in ("oci", "oci+native", "oci+fetch"):
        return _oci(match[2])
    if scheme in ("file", "pvc"):
        return _file(scheme, match[2])
    return Unsupported(f"opskit does not look into {scheme}://")


def s3_location(bucket: str, path: str, endpoint: str | None = None) -> S3Location | Malformed:
    """Return what a path in a bucket means: the object of that name, or the folder."""
    if not _BUCKET.fullmatch(bucket):
        return Malformed("the bucket's name is not one")
    if problem := _problem_in_path(path):
        return Malformed(problem)
    path = path.lstrip("/")
    if not path or path.endswith("/"):
        return S3Location(bucket, None, path, endpoint)
    return S3Location(bucket, path, f"{path}/", endpoint)


def _s3(rest: str) -> Location:
    place, _, query = rest.partition("?")
    if "#" in place:
        return Malformed("'#' in the key: programs disagree on where the key ends")
    bucket, _, path = place.partition("/")
    parameters: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, has_value, value = part.partition("=")
        if not has_value or name not in ("endpoint", "defaultRegion") or name in parameters:
            return Malformed("'?' is followed by something else than endpoint=…&defaultRegion=…")
        try:
            # '+' is a plus sign: neither of the clients that write this means a space by it.
            parameters[name] = unquote(value, errors="strict")
        except UnicodeDecodeError:
            return Malformed(f"{name} is not UTF-8")
    return s3_location(bucket, path, parameters.get("endpoint") or None)


def _http(scheme: str, rest: str) -> Location:
    authority, slash, tail = rest.partition("/")
    if "?" in authority or "#" in rest:
        return Malformed("'?' or '#' where programs disagree on what it means")
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        return Malformed("the host is not a plain name, or holds credentials")
    path = tail.partition("?")[0]
    if problem := _problem_in_path(path):
        return Malformed(problem)
    if not tail.isascii() or _PERCENT.search(tail) or re.search(r'[\s"<>\\^`{|}]', tail):
        return Malformed("characters that a URL must percent-encode")
    host = match["host"].lower()
    if _OTHER_PROTOCOLS.search(host) or path.endswith(".git"):
        return Unsupported("opskit does not look into Azure storage or git repositories")
    port = int(match["port"] or (443 if scheme == "https" else 80))
    return HttpLocation(scheme, host, port, slash + tail or "/")


def _oci(rest: str) -> Location:
    name, _, digest = rest.partition("@")
    first, slash, others = name.partition("/")
    if not slash or not re.search(r"[.:]|^localhost$", first):
        # As container engines read it: without a host it is Docker Hub's.
        first, others = _DOCKER_HUB, name if slash else f"library/{name}"
    elif first in ("docker.io", "index.docker.io"):
        first = _DOCKER_HUB
    authority = _AUTHORITY.fullmatch(first)
    repository, has_tag, tag = others.partition(":")
    if authority is None or not _REPOSITORY.fullmatch(repository) or (has_tag and not _TAG.fullmatch(tag)):
        return Malformed("no reference of the form registry/repository:tag")
    if "@" in rest and not _DIGEST.fullmatch(digest):
        return Malformed("what follows '@' is not a digest")
    return OciLocation(authority["host"].lower(), int(authority["port"] or 443), repository, digest or tag or "latest")


def _file(scheme: str, rest: str) -> Location:
    place, slash, path = rest.partition("/")
    if scheme == "file" and place not in ("", "localhost"):
        return Malformed("file:// names another host")
    if scheme == "pvc" and not _CLAIM.fullmatch(place):
        return Malformed("the claim's name is not one")
    if problem := _problem_in_path(path):
        return Malformed(problem)
    segments = [segment for segment in path.split("/") if segment]
    if scheme == "file":
        return FileLocation("/".join(["file://", *segments])) if slash else Malformed("no path")
    return FileLocation("/".join([f"pvc://{place}", *segments]))


def _problem_in_path(path: str) -> str:
    if "?" in path or "#" in path:
        return "'?' or '#' in the path: programs disagree on where it ends"
    whole = f"/{path}/"
    if "/./" in whole or "/../" in whole:
        return "a '.' or '..' segment, which some programs resolve and others do not"
    if len(path.encode(errors="replace")) > _KEY_BYTES:
        return f"longer than {_KEY_BYTES} bytes"
    return ""
