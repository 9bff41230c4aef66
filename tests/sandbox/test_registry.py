from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from sandbox.registry import Shape, generate
from sandbox.registry_text import MODEL_NAMES, as_stored
from sandbox.registry_types import Flavour
from sandbox.server import Server

pytestmark = pytest.mark.parametrize("flavour", ["mlmd", "embedmd"])

MLMD_TABLES = {
    "Type",
    "ParentType",
    "TypeProperty",
    "Artifact",
    "ArtifactProperty",
    "Execution",
    "ExecutionProperty",
    "Context",
    "ContextProperty",
    "ParentContext",
    "Association",
    "Attribution",
    "Event",
    "EventPath",
    "MLMDEnv",
}
DANGLING = (
    "SELECT COUNT(*) FROM Artifact LEFT JOIN Type ON Type.id = type_id WHERE Type.id IS NULL",
    "SELECT COUNT(*) FROM Context LEFT JOIN Type ON Type.id = type_id WHERE Type.id IS NULL",
    "SELECT COUNT(*) FROM Execution LEFT JOIN Type ON Type.id = type_id WHERE Type.id IS NULL",
    "SELECT COUNT(*) FROM ArtifactProperty LEFT JOIN Artifact ON id = artifact_id WHERE id IS NULL",
    "SELECT COUNT(*) FROM ContextProperty LEFT JOIN Context ON id = context_id WHERE id IS NULL",
    "SELECT COUNT(*) FROM ExecutionProperty LEFT JOIN Execution ON id = execution_id WHERE id IS NULL",
    "SELECT COUNT(*) FROM Attribution LEFT JOIN Artifact a ON a.id = artifact_id WHERE a.id IS NULL",
    "SELECT COUNT(*) FROM Attribution LEFT JOIN Context c ON c.id = context_id WHERE c.id IS NULL",
    "SELECT COUNT(*) FROM Association LEFT JOIN Context c ON c.id = context_id WHERE c.id IS NULL",
    "SELECT COUNT(*) FROM ParentContext LEFT JOIN Context c ON c.id = parent_context_id WHERE c.id IS NULL",
    "SELECT COUNT(*) FROM EventPath LEFT JOIN Event e ON e.id = event_id WHERE e.id IS NULL",
    "SELECT COUNT(*) FROM Event LEFT JOIN Artifact a ON a.id = artifact_id WHERE a.id IS NULL",
)


Query = Callable[[str], tuple[tuple[Any, ...], ...]]


def filled(server: Server, database: str, shape: Shape) -> Query:
    with server.connect(database=database) as connection:
        generate(connection, shape)

    def query(statement: str) -> tuple[tuple[Any, ...], ...]:
        return server.execute(f"USE `{database}`", statement)

    return query


@pytest.fixture(params=["mysql", "mariadb"])
def query(request: pytest.FixtureRequest, flavour: Flavour) -> Query:
    """A registry on each product."""
    server: Server = request.getfixturevalue(request.param)
    database = request.getfixturevalue("database" if request.param == "mysql" else "mariadb_database")
    return filled(server, database, Shape(flavour, artifacts=130, properties_per_artifact=14))


def test_has_the_tables_of_its_flavour(query: Query, flavour: Flavour) -> None:
    tables = {name for (name,) in query("SHOW TABLES")}
    if flavour == "mlmd":
        assert tables == MLMD_TABLES
    else:
        assert tables == MLMD_TABLES | {"schema_migrations"}
        assert query("SELECT * FROM schema_migrations") == ((21, 0),)
    assert query("SELECT * FROM MLMDEnv") == ((10,),)


def test_every_reference_holds(query: Query) -> None:
    assert [query(each)[0][0] for each in DANGLING] == [0] * len(DANGLING)


def test_every_value_column_is_used_and_one_per_row(query: Query) -> None:
    columns = ("int_value", "double_value", "string_value", "byte_value", "proto_value", "bool_value")
    used = query(f"SELECT {', '.join(f'COUNT({each})' for each in columns)}, COUNT(*) FROM ArtifactProperty")[0]
    assert all(used)
    assert sum(used[:-1]) == used[-1] == 130 * 14


def test_text_is_stored_as_the_flavour_stores_it(query: Query, flavour: Flavour) -> None:
    (name,) = query("SELECT name FROM Context WHERE id = 3")[0]
    assert name == {"mlmd": "mnist Ã© 3", "embedmd": "mnist é 3"}[flavour]
    texts = [text for (text,) in query("SELECT name FROM Context WHERE id <= 8 ORDER BY id")]
    assert texts == [f"{as_stored(each, flavour)} {n}" for n, each in enumerate(MODEL_NAMES, start=1)]


def test_uris_are_those_of_every_client(query: Query) -> None:
    uris = [uri for (uri,) in query("SELECT uri FROM Artifact")]
    schemes = Counter(urlsplit(uri).scheme for uri in uris if uri)
    assert set(schemes) == {"s3", "oci", "https", "hf"}
    assert None in uris
    assert any("?endpoint=https://s3" in uri for uri in uris if uri)
    assert any("?endpoint=https%3A%2F%2Fs3" in uri for uri in uris if uri)
    endpoints = {parse_qs(urlsplit(uri).query)["endpoint"][0] for uri in uris if uri and "?" in uri}
    assert endpoints == {"https://s3.example.com"}


def test_states_are_those_of_every_client(query: Query) -> None:
    assert {state for (state,) in query("SELECT DISTINCT state FROM Artifact")} == {None, 0, 2}
    assert dict(query("SELECT string_value, 1 FROM ContextProperty WHERE name = 'state'")) == {
        "LIVE": 1,
        "ARCHIVED": 1,
    }


def test_event_paths_have_equal_rows_and_no_key(query: Query) -> None:
    assert query("SELECT COUNT(*) > 1 FROM EventPath WHERE NOT is_index_step GROUP BY event_id, step_key LIMIT 1") == (
        (1,),
    )
    keys = {row[2] for row in query("SHOW INDEX FROM EventPath")}
    assert keys == {"idx_eventpath_event_id"}


def test_types_differ_in_their_ids_between_installations(mysql: Server, database: str, flavour: Flavour) -> None:
    query = filled(mysql, database, Shape(flavour, models=1, versions_per_model=1, seed=2))
    ids: dict[str, int] = dict(query("SELECT name, id FROM Type"))
    assert ids["mlmd.Dataset"] == 1
    assert (ids["kf.RegisteredModel"] == 10) == (flavour == "mlmd")


def test_same_seed_gives_the_same_rows_and_another_seed_others(mysql: Server, database: str, flavour: Flavour) -> None:
    sums = []
    for seed in (5, 5, 6):
        mysql.execute(f"DROP DATABASE `{database}`", f"CREATE DATABASE `{database}`")
        query = filled(mysql, database, Shape(flavour, models=3, seed=seed))
        tables = ", ".join(f"`{name}`" for (name,) in query("SHOW TABLES"))
        sums.append(query(f"CHECKSUM TABLE {tables}"))
    assert sums[0] == sums[1] != sums[2]
