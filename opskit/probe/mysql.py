"""The database: whether the registry's user can log in, the schema is whole, and replication runs."""

import contextlib
import time
from collections.abc import Iterator

from opskit.errors import ConfigurationError, DeniedError, OpskitError
from opskit.mysql.certificate import server_certificate
from opskit.mysql.connection import Connection, Endpoint, connect, execute, is_mariadb, quote, scalar
from opskit.mysql.replication import Replica, read_replicas
from opskit.probe.result import Finding, State
from opskit.registry.facts import MIGRATIONS_TABLE, read_facts

FLAVOURS = {"mlmd": "MLMD (RHOAI up to 2.22)", "embedmd": "EmbedMD (RHOAI from 2.23)"}
# Above this share of max_connections the registry may soon be refused.
_CONNECTIONS_SHARE = 0.8


def check(
    endpoint: Endpoint, database: str, *, replica_max_lag_seconds: float, certificate_min_days: int
) -> Iterator[Finding]:
    """Log in as the registry does, look at the server, the schema and the replication."""
    try:
        connection = connect(endpoint)
    except ConfigurationError as error:  # TLS: the server answered, and is not what it should be
        expired = "certificate has expired" in error.message
        yield Finding(State.CRITICAL, error.message, error.hint, "certificate-expiring" if expired else None)
        return
    with contextlib.closing(connection):
        yield _answer(connection)
        yield from _certificate(connection, certificate_min_days)
        yield from _server(connection)
        yield from _schema(connection, database)
        yield from _replication(connection, replica_max_lag_seconds)


def is_embedmd(endpoint: Endpoint, database: str) -> bool:
    """Tell whether the registry is of a release without ML Metadata; False where that cannot be found out."""
    try:
        with contextlib.closing(connect(endpoint, database)) as connection:
            return bool(execute(connection, f"SHOW TABLES LIKE '{MIGRATIONS_TABLE}'"))
    except OpskitError:
        return False


def _answer(connection: Connection) -> Finding:
    started = time.monotonic()
    scalar(connection, "SELECT 1")
    seconds = time.monotonic() - started
    encryption = _status(connection, "SESSION", "Ssl_version") or "no TLS"
    product = "MariaDB" if is_mariadb(connection) else "MySQL"
    return Finding(
        State.OK,
        f"{product} {connection.get_server_info()}, {encryption}, SELECT 1 in {seconds * 1000:.1f} ms",
        values={"mysql_query_seconds": seconds},
    )


def _certificate(connection: Connection, minimum_days: int) -> Iterator[Finding]:
    """Judge the server's certificate by its age alone: where TLS is not verified nothing else has looked at it."""
    content = server_certificate(connection)
    if content is not None:
        from opskit.probe.certificate import judged_certificate  # noqa: PLC0415 - x509 takes 20 ms to import

        yield judged_certificate(content, minimum_days)


def _server(connection: Connection) -> Iterator[Finding]:
    flags = ["read_only", "innodb_read_only"] + ([] if is_mariadb(connection) else ["super_read_only"])
    values = execute(connection, "SELECT " + ", ".join(f"@@global.{flag}" for flag in flags))[0]
    if any(str(value) not in ("0", "OFF") for value in values):
        yield Finding(
            State.CRITICAL,
            "the server is read-only: nothing can be registered",
            "a failover may be under way, or the address is that of a replica",
            values={"mysql_read_only": 1},
        )
    else:
        yield Finding(State.OK, "writable", values={"mysql_read_only": 0})
    used = int(_status(connection, "GLOBAL", "Threads_connected") or 0)
    limit = int(scalar(connection, "SELECT @@global.max_connections"))
    yield Finding(
        State.WARNING if used >= limit * _CONNECTIONS_SHARE else State.OK,
        f"{used} of {limit} connections used",
        "the registry may soon be refused: look who holds them with SHOW PROCESSLIST",
        values={"mysql_connections": used, "mysql_connections_limit": limit},
    )


def _status(connection: Connection, scope: str, name: str) -> str:
    rows = execute(connection, f"SHOW {scope} STATUS LIKE %s", [name])
    return str(rows[0][1]) if rows else ""


def _schema(connection: Connection, database: str) -> Iterator[Finding]:
    execute(connection, f"USE {quote(database)}")
    tables = frozenset(
        str(name)
        for (name,) in execute(
            connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [database]
        )
    )
    facts = read_facts(connection, tables)
    values = {"schema_dirty": float(facts.dirty)}
    if facts.flavour == "unknown":
        yield Finding(
            State.CRITICAL,
            f"database {database!r} holds no Model Registry: it has {len(tables)} tables, none of a registry's",
            "the registry makes its tables when it starts for the first time; else restore a backup",
        )
        return
    for problem in facts.problems:
        yield Finding(
            State.CRITICAL,
            problem,
            "the registry cannot start on this schema",
            runbook="schema-dirty",
            values=values,
        )
    if not facts.problems:
        migration = "" if facts.migration_version is None else f", migration {facts.migration_version}"
        versions = ", ".join(map(str, facts.mlmd_versions))
        yield Finding(State.OK, f"{FLAVOURS[facts.flavour]}, MLMD schema {versions}{migration}", values=values)


def _replication(connection: Connection, max_lag_seconds: float) -> Iterator[Finding]:
    try:
        replicas = read_replicas(connection)
    except DeniedError:
        yield Finding(State.NOT_APPLICABLE, "replication is not looked at: this user has no REPLICATION CLIENT")
        return
    if not replicas:
        yield Finding(State.NOT_APPLICABLE, "not a replica")
    # Of several channels the one that is furthest behind comes last: its lag is the one that metrics show.
    for replica in sorted(replicas, key=lambda each: each.lag_seconds or 0):
        yield _judged(replica, max_lag_seconds)


def _judged(replica: Replica, max_lag_seconds: float) -> Finding:
    values = {} if replica.lag_seconds is None else {"mysql_replication_lag_seconds": replica.lag_seconds}
    name = f"replication ({replica.channel})" if replica.channel else "replication"
    if not replica.running:
        error = f", error {replica.error_number}" if replica.error_number else ""
        return Finding(
            State.CRITICAL,
            f"{name} stopped: receiver {replica.receiver}, applier {replica.applier}{error}",
            "SHOW REPLICA STATUS tells the error",
        )
    if replica.lag_seconds is None:
        return Finding(State.WARNING, f"{name} is running, how far behind is not known")
    late = replica.lag_seconds > max_lag_seconds
    return Finding(
        State.WARNING if late else State.OK,
        f"{name} is {replica.lag_seconds:g} s behind",
        "what is read here is older than what was registered" if late else None,
        values=values,
    )
