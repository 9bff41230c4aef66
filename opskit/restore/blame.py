"""Whose fault it is that a server does not take a statement of a backup: the backup's, or the server's."""

from collections.abc import Iterator
from contextlib import contextmanager

from opskit.backup.manifest import Manifest
from opskit.errors import (
    ConfigurationError,
    CorruptError,
    NotFoundError,
    RefusedError,
    UnavailableError,
    advise,
)
from opskit.mysql.connection import Connection, ServerError, is_mariadb, scalar

# Errors that any server of the product has to make of such a statement, however it is set up and whatever else goes on
# in it (MySQL, Server Error Message Reference; MariaDB Error Code Reference). Everything else is the server's: its
# limits, its settings, its disk. A verdict of "failed" lets prune take the backup.
_OF_THE_STATEMENT = {
    # What does not parse.
    1064,
    1065,
    1149,
    # Names: unknown, twice, or impossible ones.
    *(1051, 1054, 1059, 1060, 1061, 1066, 1068, 1072, 1091, 1103, 1109, 1110, 1166, 1176, 1280, 1305, 1327, 1347),
    # Columns and keys that cannot be.
    *(1063, 1067, 1069, 1070, 1073, 1074, 1075, 1089, 1090, 1101, 1113, 1121, 1164, 1167, 1170, 1171, 1173),
    *(1252, 1253, 1291, 1294, 1425, 1426, 1427, 1439, 1470, 1687, 3105, 3106, 3107, 3108, 3109, 3152, 3643),
    *(3753, 3754, 3755, 3756, 3757, 3758, 3759, 3760, 3761),
    # Partitions.
    *(1479, 1480, 1481, 1486, 1487, 1488, 1490, 1491, 1492, 1493, 1495, 1496, 1503, 1517, 1659),
    # Foreign keys and checks.
    *(1215, 1239, 1822, 1825, 1826, 3734, 3780, 3812, 3813, 3814, 3815, 3820, 3823),
    # Programs.
    *(1308, 1309, 1310, 1313, 1314, 1318, 1319, 1320, 1322, 1323, 1324, 1330, 1331, 1332, 1333, 1335, 1336, 1337),
    *(1338, 1349, 1350, 1351, 1352, 1353, 1354, 1363, 1407, 1413, 1414, 1415, 1422, 1582, 1583, 1584),
    # Values: too many or few, out of range, too long, of another kind.
    *(1048, 1058, 1136, 1138, 1263, 1264, 1265, 1292, 1300, 1364, 1366, 1367, 1406, 1411, 1416, 1441, 1525, 1690),
    *(3037, 3140, 3141, 3144, 3146, 3150, 3151, 3155, 3156, 3157, 3158, 3516, 3616, 3617, 3903, 3904, 3907),
    # Rows that break a key or a check.
    *(1022, 1062, 1169, 1216, 1217, 1451, 1452, 1557, 1586, 1761, 1762, 1859, 3819, 4025),
}


@contextmanager
def of_backup(connection: Connection, manifest: Manifest, what: str) -> Iterator[None]:
    """Blame the backup for a statement of its own that no server of the product that wrote it would take.

    `UnavailableError` for an error that says nothing of the statement: the backup may be sound.
    """
    try:
        yield
    except RefusedError as error:
        advise(error, "somebody has made it since the restore began: restore where nobody else works")
        raise
    except (ServerError, NotFoundError) as error:
        message = f"the server does not take the definition or the rows of {what}: {error.message}"
        of_statement = error.number in _OF_THE_STATEMENT if isinstance(error, ServerError) else _is_there(connection)
        if not of_statement:
            raise UnavailableError(message, hint="this tells nothing of the backup: look at the server") from error
        if is_mariadb(connection) == (manifest.database.product == "MariaDB"):
            raise CorruptError(message) from error
        hint = f"restore on {manifest.database.product} {manifest.database.server_version}, or newer"
        raise ConfigurationError(message, hint=hint) from error


def _is_there(connection: Connection) -> bool:
    """Tell whether the database that is filled is still there: else nothing is found in it, whatever the backup."""
    return bool(scalar(connection, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = DATABASE()"))
