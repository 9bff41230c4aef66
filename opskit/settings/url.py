"""A registry described by one URL: mysql://user@host:port/database?tls=verify_identity&ca_file=/ca.crt."""

import hashlib
import re
from urllib.parse import parse_qsl, unquote, urlsplit

from opskit.settings.kinds import NAME

_QUERY = ("tls", "ca_file")


def parse_mysql_url(url: str) -> dict[str, object]:
    """Return the keys of a `mysql` section; `ValueError` says what is wrong and never quotes the URL.

    Its parts are percent-decoded. A password in it is refused: every process list would show it.
    """
    scheme = url.partition(":")[0].lower().partition("+")[0]
    if scheme in ("postgres", "postgresql"):
        raise ValueError("PostgreSQL registries are not supported: opskit backs up MySQL and MariaDB")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the host or the port cannot be read; special characters are written %XX") from None
    if parts.password is not None:
        raise ValueError("holds a password: give it in OPSKIT_MYSQL_PASSWORD or OPSKIT_MYSQL_PASSWORD_FILE instead")
    database = parts.path.removeprefix("/")
    if (
        parts.scheme != "mysql"
        or not parts.hostname
        or not parts.username
        or not database
        or "/" in database
        or "#" in url
    ):
        raise ValueError("must be mysql://user@host:port/database; special characters are written %XX")
    try:
        section: dict[str, object] = {
            "host": unquote(parts.hostname, errors="strict"),
            "user": unquote(parts.username, errors="strict"),
            "database": unquote(database, errors="strict"),
        }
        query = (
            parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True, errors="strict") if parts.query else []
        )
    except ValueError:
        raise ValueError("the percent-encoding or the part behind '?' cannot be read") from None
    if port is not None:
        section["port"] = port
    if tls := _tls(query):
        section["tls"] = tls
    return section


def _tls(query: list[tuple[str, str]]) -> dict[str, str]:
    names = [name for name, _ in query]
    if len(set(names)) < len(names) or not set(names) <= set(_QUERY):
        raise ValueError("behind '?' only tls and ca_file may stand, each once")
    return {"mode" if name == "tls" else name: value for name, value in query}


def registry_name(database: str) -> str:
    """Return the database's name where it may name a registry, else one derived from it.

    Derived means: each run of characters that do not fit becomes one '-', and 8 hexadecimal digits of the
    name's SHA-256 follow, so that no two databases get the same.
    """
    if NAME.fullmatch(database):
        return database
    fitting = re.sub(r"[^A-Za-z0-9._-]+", "-", database).strip("._-")[:54]
    digest = hashlib.sha256(database.encode(errors="replace")).hexdigest()[:8]
    return f"{fitting}-{digest}" if fitting else f"registry-{digest}"
