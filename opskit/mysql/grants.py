"""What the logged-in user may do, from what the server says of it."""

import re

from opskit.mysql.connection import Connection, compared_name, execute

_GRANT = re.compile(r"GRANT (?P<privileges>.+?) ON (?P<scope>.+?) TO ")
_REVOKE = re.compile(r"REVOKE (?P<privileges>.+?) ON (?P<scope>.+?) FROM ")
# Without one of these on the whole database, tables without grants of their own, or a kind of program, do not show in
# information_schema at all.
_SHOWS = {
    "other tables": {"SELECT"},
    "triggers": {"TRIGGER"},
    "events": {"EVENT"},
    "routines": {"EXECUTE", "CREATE ROUTINE", "ALTER ROUTINE", "SHOW_ROUTINE"},
    "views": {"SHOW VIEW"},
}


def current_user(connection: Connection) -> str:
    """Return the account that the server took this login for, quoted as GRANT wants it."""
    user, _, host = str(execute(connection, "SELECT CURRENT_USER()")[0][0]).rpartition("@")
    return "@".join("'" + part.replace("\\", "\\\\").replace("'", "''") + "'" for part in (user, host))


def granted(connection: Connection, database: str) -> set[str]:
    """Return the privileges on the whole database, from the account's own grants and its active roles."""
    privileges: set[str] = set()
    database = compared_name(connection, database)
    for (line,) in execute(connection, "SHOW GRANTS FOR CURRENT_USER()"):
        if (grant := _GRANT.match(str(line))) and _covers(grant["scope"], database):
            privileges |= _names(grant)
        if (revoke := _REVOKE.match(str(line))) and _covers(revoke["scope"], database):
            privileges -= _names(revoke)  # a partial revoke, which stands after what it takes from
    return privileges


def _names(line: re.Match[str]) -> set[str]:
    return {name.strip().upper() for name in line["privileges"].split(",")}


def _covers(scope: str, database: str) -> bool:
    if scope == "*.*":
        return True
    match = re.fullmatch(r"`((?:[^`]|``)+)`\.\*", scope)
    if match is None:
        return False
    pattern, position, text = "", 0, match[1].replace("``", "`")
    while position < len(text):
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in ("_", "%"):
            position += 1
            pattern += re.escape(text[position])
        else:
            pattern += {"%": ".*", "_": "."}.get(character, re.escape(character))
        position += 1
    return re.fullmatch(pattern, database, re.DOTALL) is not None


def invisible(connection: Connection, database: str) -> list[str]:
    """Return a warning that tells what this user could not see if there were any: tables, kinds of programs."""
    privileges = granted(connection, database)
    if "ALL PRIVILEGES" in privileges or "ALL" in privileges:
        return []
    hidden = [kind for kind, showing in _SHOWS.items() if not privileges & showing]
    return (
        [f"this user may not see {', '.join(hidden)}: if there are any, they are not in the backup"] if hidden else []
    )


def wildcards_are_literal(connection: Connection) -> bool:
    """Tell whether GRANT takes `_` and `%` for themselves: with partial_revokes, which MySQL has from 8.0.16."""
    rows = execute(connection, "SHOW GLOBAL VARIABLES LIKE 'partial_revokes'")
    return bool(rows) and str(rows[0][1]) == "ON"


def staging_grant(connection: Connection, prefix: str) -> str:
    """Return the one GRANT that a restore needs beside the registry's own, where wildcards are to be had."""
    return rf"GRANT ALL ON `{_escaped(prefix)}\_opskit\_%`.* TO {current_user(connection)}"


def database_grant(connection: Connection, database: str, privileges: str = "ALL") -> str:
    """Return the GRANT on one database."""
    name = database.replace("`", "``") if wildcards_are_literal(connection) else _escaped(database)
    return f"GRANT {privileges} ON `{name}`.* TO {current_user(connection)}"


def _escaped(name: str) -> str:
    """Return a database's name as GRANT takes it where `_` and `%` are wildcards unless escaped."""
    return name.replace("\\", "\\\\").replace("_", r"\_").replace("%", r"\%").replace("`", "``")


# RENAME TABLE wants ALTER and DROP where a table leaves, CREATE and INSERT where it comes to (MySQL manual); ALTER is
# for the character set of the database, SELECT for what a swap says of the rows.
_EXCHANGE = ("SELECT", "INSERT", "CREATE", "ALTER", "DROP")


def may_exchange(connection: Connection, database: str) -> bool:
    """Tell whether this user may move tables out of the database and into it."""
    privileges = granted(connection, database)
    return bool(privileges & {"ALL", "ALL PRIVILEGES"}) or privileges.issuperset(_EXCHANGE)


def exchange_grant(connection: Connection, database: str) -> str:
    """Return the GRANT with which this user may move tables out of the database and into it."""
    return database_grant(connection, database, ", ".join(_EXCHANGE))
