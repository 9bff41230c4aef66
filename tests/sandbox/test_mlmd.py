from collections.abc import Iterator

import pytest

from sandbox.mlmd import MODEL_NAME, Library
from sandbox.registry import Shape, generate
from sandbox.registry_text import as_stored
from sandbox.server import Server
from tests.conftest import fresh_database

COLUMNS = (
    "SELECT table_name, column_name, column_type, is_nullable, extra FROM information_schema.columns"
    " WHERE table_schema = '{}' ORDER BY table_name, ordinal_position"
)
INDEXES = (
    "SELECT table_name, index_name, non_unique, seq_in_index, column_name, sub_part"
    " FROM information_schema.statistics WHERE table_schema = '{}' ORDER BY 1, 2, 4"
)


@pytest.fixture(scope="module")
def written(mariadb: Server, mlmd: Library) -> Iterator[str]:
    """A database that the library itself wrote."""
    with fresh_database(mariadb) as name:
        mlmd.write(mariadb, name)
        yield name


def test_library_reads_back_what_it_wrote(mlmd: Library, mariadb: Server, written: str) -> None:
    registry = mlmd.read(mariadb, written)
    (model,) = (each for each in registry["contexts"] if each["type"] == "kf.RegisteredModel")
    assert model["name"] == MODEL_NAME
    assert model["properties"]["language"] == {"structValue": {"all": ["fr", "中文"]}}
    assert [each["state"] for each in registry["artifacts"]] == ["UNKNOWN", "LIVE"]
    assert [each["path"]["steps"][1] for each in registry["events"]] == [{"key": "clé"}] * 2
    assert len(registry["executions"]) == 2


def test_its_text_is_seen_double_encoded_by_everybody_else(mariadb: Server, written: str) -> None:
    names = mariadb.execute(f"SELECT name FROM `{written}`.Context WHERE id = 1")
    assert names == (("mnist Ã© æ¨¡åž\u2039",),)
    assert names == ((as_stored(MODEL_NAME, "mlmd"),),)


def test_every_byte_of_text_is_stored_as_the_generator_says(mariadb: Server, mlmd: Library) -> None:
    text = "Á Í Ï \u0450 \u045d"  # their UTF-8 has the five bytes that cp1252 lacks: 81, 8d, 8f, 90, 9d
    with fresh_database(mariadb) as name:
        mlmd.write(mariadb, name, model_name=text)
        stored = mariadb.execute(f"SELECT name FROM `{name}`.Context WHERE id = 1")
        assert stored == ((as_stored(text, "mlmd"),),)
        assert {each["name"] for each in mlmd.read(mariadb, name)["contexts"]} > {text}


@pytest.mark.parametrize("question", [COLUMNS, INDEXES])
def test_generated_schema_is_the_library_s(mariadb: Server, mariadb_database: str, written: str, question: str) -> None:
    with mariadb.connect(database=mariadb_database) as connection:
        generate(connection, Shape(models=1))
    assert mariadb.execute(question.format(mariadb_database)) == mariadb.execute(question.format(written))


def test_library_reads_a_generated_registry(mariadb: Server, mariadb_database: str, mlmd: Library) -> None:
    with mariadb.connect(database=mariadb_database) as connection:
        generate(connection, Shape(models=8, properties_per_artifact=7))
    registry = mlmd.read(mariadb, mariadb_database)
    assert "模型 4" in {each["name"] for each in registry["contexts"]}
    assert len(registry["artifacts"]) == 24
