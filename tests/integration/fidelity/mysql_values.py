"""Types that only MySQL has, or has in its own way: JSON, spatial with a reference system, VECTOR."""

from tests.integration.fidelity.values import Tables

DOCUMENTS = (
    "null",
    "true",
    '""',
    '"\\\\u0000"',
    '"\\\\"\\\\\\\\/\\\\b\\\\f\\\\n\\\\r\\\\t"',
    "\"😀 é '' quoted '' ;\\\\n */\"",
    "0",
    "-0",
    "-0.0",
    "1.0",
    "0.1",
    "1e-7",
    "1e22",
    "1.7976931348623157e308",
    "5e-324",
    "18446744073709551615",
    "-9223372036854775808",
    "[]",
    "{}",
    '{"b": 1, "a": [1, "2", null, {"": {}}], "aa": 2.50}',
    '{"' + "k" * 1000 + '": "' + "v" * 70000 + '"}',
    "[" * 90 + "]" * 90,
)

_DOCUMENTS = [
    "CREATE TABLE documents (id INT AUTO_INCREMENT PRIMARY KEY, j JSON, k JSON NOT NULL)",
    *(f"INSERT INTO documents (j, k) VALUES ('{each}', '[{each}]')" for each in DOCUMENTS),
    "INSERT INTO documents (j, k) VALUES (NULL, '1')",
]

_WKT = (
    "POINT(1 2)",
    "POINT(-0.1 1e-300)",
    "LINESTRING(0 0, 1 1, 2 0)",
    "POLYGON((0 0, 10 0, 10 10, 0 10, 0 0), (1 1, 2 1, 2 2, 1 2, 1 1))",
    "MULTIPOINT((0 0), (1 1))",
    "MULTILINESTRING((0 0, 1 1), (2 2, 3 3))",
    "MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))",
    "GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))",
    "GEOMETRYCOLLECTION EMPTY",
)
_KINDS = ("POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION")

SHAPES = [
    f"CREATE TABLE shapes (g GEOMETRY, {', '.join(f'g_{kind} {kind}' for kind in _KINDS)})",
    *(f"INSERT INTO shapes (g) VALUES (ST_GeomFromText('{each}'))" for each in _WKT),
    *(
        f"INSERT INTO shapes (g_{kind}) VALUES (ST_GeomFromText('{each}'))"
        for each in _WKT
        for kind in _KINDS
        if each.startswith((f"{kind}(", f"{kind} "))
    ),
]

_SPATIAL = [
    "CREATE TABLE spatial_references (id INT PRIMARY KEY, a POINT NOT NULL SRID 4326, b GEOMETRY NOT NULL SRID 3857,"
    " c GEOMETRY NOT NULL, n POINT SRID 0, SPATIAL KEY ka (a), SPATIAL KEY kb (b))",
    "INSERT INTO spatial_references VALUES"
    " (1, ST_GeomFromText('POINT(52.5 13.4)', 4326), ST_GeomFromText('LINESTRING(0 0, 1 1)', 3857),"
    " ST_GeomFromText('POINT(1 1)', 4326), NULL),"
    " (2, ST_GeomFromText('POINT(-90 180)', 4326), ST_GeomFromText('POINT(0 0)', 3857), ST_GeomFromText('POINT(1 1)'),"
    " ST_GeomFromText('POINT(3 4)', 0))",
]

_VECTORS = [
    "CREATE TABLE vectors (id INT PRIMARY KEY, v VECTOR(3), w VECTOR(16383), d VECTOR)",
    "INSERT INTO vectors VALUES (1, TO_VECTOR('[0.1, -0.0, 16777216]'), NULL, TO_VECTOR('[1.2e-38]')),"
    " (2, TO_VECTOR('[1]'), TO_VECTOR(CONCAT('[', REPEAT('0.1,', 16382), '3.4028235e38]')), NULL), (3, NULL, NULL, NULL)",
]

TABLES: Tables = {
    "documents": _DOCUMENTS,
    "shapes": SHAPES,
    "spatial_references": _SPATIAL,
    "vectors": _VECTORS,
}
