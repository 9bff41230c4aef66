"""A Model Registry's database of any size, in either flavour, the same for the same seed.

The rows are made by the server itself, from numbers: millions take about a minute.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.registry_text import (
    DESCRIPTIONS,
    FORMAT_VERSIONS,
    FORMATS,
    MODEL_NAMES,
    OWNERS,
    STRUCTS,
    as_stored,
)
from sandbox.registry_types import Flavour, types

if TYPE_CHECKING:
    from sandbox.server import Connection

SCHEMA = Path(__file__).with_name("schema")
# Artifacts per statement: a transaction that neither starves nor swells.
STEP = 20_000
EPOCH = 1_750_000_000_000  # milliseconds
MIGRATION = 21

# The properties of an artifact, in the order in which they are given out: name, custom or not, its column.
PROPERTIES = (
    ("model_format_name", 0, "string"),
    ("model_format_version", 0, "string"),
    ("storage_key", 0, "string"),
    ("accuracy", 1, "double"),
    ("epochs", 1, "int"),
    ("approved", 1, "bool"),
    ("labels", 1, "struct"),
    ("note é", 1, "string"),
    ("fingerprint", 1, "byte"),
    ("signature", 1, "proto"),
    ("storage_path", 0, "string"),
    ("description", 0, "string"),
)


@dataclass(frozen=True)
class Shape:
    """How large a registry is, and where its artifacts claim to be."""

    flavour: Flavour = "mlmd"
    models: int = 20
    versions_per_model: int = 3
    artifacts: int | None = None
    """In all, spread over the versions; by default each version has one."""
    properties_per_artifact: int = 8
    readme_bytes: int = 2_000
    seed: int = 1
    bucket: str = "models"
    endpoint: str = "https://s3.example.com"
    region: str = "us-east-1"

    @property
    def versions(self) -> int:
        """How many model versions there are."""
        return self.models * self.versions_per_model

    @property
    def artifact_count(self) -> int:
        """How many artifacts there are."""
        return self.versions if self.artifacts is None else self.artifacts


def quoted(text: str) -> str:
    """Return a text as an SQL literal that no sql_mode reads differently."""
    return f"CONVERT(X'{text.encode().hex()}' USING utf8mb4)" if text else "''"


class Filler:
    """Writes one registry through one connection."""

    def __init__(self, connection: "Connection", shape: Shape) -> None:
        self.connection = connection
        self.shape = shape
        self.type_id = {each.name: each.id for each in types(shape.flavour, shape.seed)}

    def execute(self, *statements: str) -> None:
        """Execute statements."""
        with self.connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)

    def one_of(self, texts: Sequence[str], number: str) -> str:
        """Return an expression for one of these texts, as this flavour stores it, chosen by a number."""
        stored = [quoted(as_stored(each, self.shape.flavour)) for each in texts]
        return f"ELT(1 + ({number}) % {len(stored)}, {', '.join(stored)})"

    def chance(self, *parts: str) -> str:
        """Return an expression for a number that looks random and depends on the seed and on these alone."""
        return f"CRC32(CONCAT_WS(':', {self.shape.seed}, {', '.join(parts)}))"

    def create_schema(self) -> None:
        """Create the tables and the rows that every registry has."""
        flavours = ["mlmd"] if self.shape.flavour == "mlmd" else ["mlmd", "embedmd"]
        for name in flavours:
            lines = (SCHEMA / f"{name}.sql").read_text().splitlines()
            text = "\n".join(line for line in lines if not line.startswith("--"))
            self.execute(*(each for each in text.split(";") if each.strip()))
        if self.shape.flavour == "embedmd":
            self.execute(f"INSERT INTO schema_migrations VALUES ({MIGRATION}, 0)")
        self.execute("INSERT INTO MLMDEnv VALUES (10)")
        for each in types(self.shape.flavour, self.shape.seed):
            self.execute(f"INSERT INTO Type (id, name, type_kind) VALUES ({each.id}, '{each.name}', {each.kind})")
            for name, data_type in each.properties.items():
                self.execute(f"INSERT INTO TypeProperty VALUES ({each.id}, '{name}', {data_type})")

    def models(self) -> None:
        """Write registered models: contexts 1 to `models`."""
        count = self.shape.models
        name = f"CONCAT({self.one_of(MODEL_NAMES, 'n')}, ' ', n + 1)"
        self.execute(
            "INSERT INTO Context (id, type_id, name, external_id, create_time_since_epoch,"
            " last_update_time_since_epoch)"
            f" SELECT n + 1, {self.type_id['kf.RegisteredModel']}, {name},"
            f" IF(n % 20 = 19, CONCAT('external-', n + 1), NULL), {EPOCH} + n * 1000, {EPOCH} + n * 1000 + 1"
            f" FROM {numbers(count)}"
        )
        readme = f"REPEAT({quoted(as_stored('# Léame 模型', self.shape.flavour))}, {self.shape.readme_bytes // 16})"
        texts = {
            "description": self.one_of(DESCRIPTIONS, self.chance("n", "'description'")),
            "owner": self.one_of(OWNERS, self.chance("n", "'owner'")),
            "state": "IF(n % 10 = 9, 'ARCHIVED', 'LIVE')",
            "language": self.one_of(STRUCTS, "n"),
            "readme": readme,
        }
        for key, value in texts.items():
            self.context_property("n + 1", key, "string_value", value, numbers(count))
        self.context_property(
            "n + 1", "downloads", "int_value", self.chance("n") + " % 100000", numbers(count), custom=1
        )

    def versions(self) -> None:
        """Write model versions: the contexts after those of the models."""
        shape, rows = self.shape, numbers(self.shape.versions)
        version, model = f"{shape.models} + n + 1", f"n DIV {shape.versions_per_model} + 1"
        number = f"n % {shape.versions_per_model} + 1"
        self.execute(
            "INSERT INTO Context (id, type_id, name, create_time_since_epoch, last_update_time_since_epoch)"
            f" SELECT {version}, {self.type_id['kf.ModelVersion']}, CONCAT({model}, ':v', {number}),"
            f" {EPOCH} + n * 1000, {EPOCH} + n * 1000 FROM {rows}",
            f"INSERT INTO ParentContext (context_id, parent_context_id) SELECT {version}, {model} FROM {rows}",
        )
        author = self.one_of(OWNERS, self.chance("n", "'author'"))
        state = "IF(n % 7 = 6, 'ARCHIVED', 'LIVE')"
        self.context_property(version, "author", "string_value", author, rows)
        self.context_property(version, "state", "string_value", state, rows)
        if shape.flavour == "embedmd":
            self.context_property(version, "registered_model_id", "int_value", model, rows)
        else:
            name = f"CONCAT({self.one_of(MODEL_NAMES, f'n DIV {shape.versions_per_model}')}, ' ', {model})"
            self.context_property(version, "model_name", "string_value", name, rows)

    def context_property(self, context: str, key: str, column: str, value: str, rows: str, *, custom: int = 0) -> None:
        """Write one property of many contexts."""
        self.execute(
            f"INSERT INTO ContextProperty (context_id, name, is_custom_property, {column})"
            f" SELECT {context}, '{key}', {custom}, {value} FROM {rows}"
        )

    def artifacts(self) -> None:
        """Write artifacts, each attributed to a version, and their properties."""
        for first in range(0, self.shape.artifact_count, STEP):
            rows = numbers(min(STEP, self.shape.artifact_count - first), first)
            version = f"{self.shape.models} + n % {self.shape.versions} + 1"
            model = f"(n % {self.shape.versions}) DIV {self.shape.versions_per_model}"
            name = f"CONCAT({version}, ':', {self.one_of(MODEL_NAMES, model)}, ' ', {model} + 1"
            name += f", IF(n < {self.shape.versions}, '', CONCAT(' ', n DIV {self.shape.versions})))"
            kind = f"IF(n % 25 = 24, {self.type_id['kf.DocArtifact']}, {self.type_id['kf.ModelArtifact']})"
            self.execute(
                "INSERT INTO Artifact (id, type_id, uri, state, name, external_id, create_time_since_epoch,"
                " last_update_time_since_epoch)"
                f" SELECT n + 1, {kind}, {self.uri()}, ELT(1 + n % 5, NULL, 0, 2, 2, 2), {name},"
                f" IF(n % 30 = 29, CONCAT('external-', n + 1), NULL), {EPOCH} + n * 1000, {EPOCH} + n * 1000 + 1"
                f" FROM {rows} ORDER BY n",
                "INSERT INTO Attribution (id, context_id, artifact_id)"
                f" SELECT n + 1, {version}, n + 1 FROM {rows} ORDER BY n",
            )
            self.artifact_properties(rows)

    def uri(self) -> str:
        """Return an expression for the URI of artifact `n`, in the forms that the registry's clients write."""
        shape = self.shape
        model = f"(n % {shape.versions}) DIV {shape.versions_per_model} + 1"
        version = f"n % {shape.versions_per_model} + 1"
        path = f"CONCAT('s3://{shape.bucket}/models/model-', {model}, '/', {version}, '/artifact-', n + 1)"
        accented = f"CONCAT('s3://{shape.bucket}/', {self.one_of(['modèles/été'], '0')}, '/', n + 1)"
        encoded = shape.endpoint.replace(":", "%3A").replace("/", "%2F")
        by_client = f"'?endpoint={shape.endpoint}&defaultRegion={shape.region}'"
        by_dashboard = f"'?endpoint={encoded}&defaultRegion={shape.region}'"
        return (
            "CASE WHEN n % 20 < 10 THEN CONCAT(" + path + f", {by_client})"
            f" WHEN n % 20 < 14 THEN CONCAT({path}, {by_dashboard})"
            f" WHEN n % 20 = 14 THEN {path}"
            f" WHEN n % 20 = 15 THEN CONCAT({accented}, {by_client})"
            " WHEN n % 20 = 16 THEN CONCAT('oci://quay.example.com/models/model:v', n + 1)"
            " WHEN n % 20 = 17 THEN CONCAT('https://models.example.com/', n + 1, '.onnx')"
            " WHEN n % 20 = 18 THEN CONCAT('hf://example/model-', n + 1)"
            " ELSE NULL END"
        )

    def artifact_properties(self, rows: str) -> None:
        """Write the properties of artifacts `n`: as many as asked for, of every column there is.

        Row `k` of each artifact is its `k`th property by name: numbers compare faster than names.
        """
        known = PROPERTIES[: self.shape.properties_per_artifact]
        extra = [(f"metric-{k}", 1, "double") for k in range(self.shape.properties_per_artifact - len(known))]
        named = sorted((*known, *extra))
        dice = self.chance("n", "k")

        def where(kind: str, value: str) -> str:
            places = [str(k) for k, each in enumerate(named) if each[2] == kind]
            return f"IF(k IN ({', '.join(places)}), {value}, NULL)" if places else "NULL"

        texts = {
            "model_format_name": self.one_of(FORMATS, dice),
            "model_format_version": self.one_of(FORMAT_VERSIONS, dice),
            "storage_key": "'aws-connection-models'",
            "storage_path": "CONCAT('models/model-', n + 1)",
        }
        strings = "".join(
            f"WHEN {k} THEN {texts.get(name) or self.one_of(DESCRIPTIONS, dice)} "
            for k, (name, _custom, kind) in enumerate(named)
            if kind == "string"
        )
        # Bytes which a dump that takes them for text would damage.
        binary = f"CONCAT(X'00FF5C27220A0D1A', UNHEX(SHA2({dice}, 256)))"
        string = where("string", f"CASE k {strings}END") if strings else "NULL"
        properties = " UNION ALL ".join(
            f"SELECT {k} AS k, {quoted(as_stored(name, self.shape.flavour))} AS name, {custom} AS custom"
            for k, (name, custom, _kind) in enumerate(named)
        )
        self.execute(
            "INSERT INTO ArtifactProperty (artifact_id, name, is_custom_property, int_value, double_value,"
            " string_value, byte_value, proto_value, bool_value)"
            f" SELECT n + 1, name, custom, {where('int', f'CAST({dice} AS SIGNED) - 2147483648')},"
            f" {where('double', f'{dice} / 4294967295e0')},"
            f" COALESCE({string}, {where('struct', self.one_of(STRUCTS, dice))}),"
            f" {where('byte', binary)}, {where('proto', binary)}, {where('bool', f'{dice} % 2')}"
            f" FROM {rows} CROSS JOIN ({properties}) AS properties ORDER BY n, k"
        )

    def deployments(self) -> None:
        """Write a serving environment, and a deployment with its event for every tenth version."""
        shape = self.shape
        environment = shape.models + shape.versions + 1
        count = min(shape.versions // 10 + 1, shape.artifact_count)
        service, version = f"{environment} + n + 1", f"{shape.models} + n * 10 % {shape.versions} + 1"
        step = quoted(as_stored("clé", shape.flavour))
        rows = numbers(count)
        self.execute(
            "INSERT INTO Context (id, type_id, name) VALUES"
            f" ({environment}, {self.type_id['kf.ServingEnvironment']}, 'production')",
            "INSERT INTO Context (id, type_id, name)"
            f" SELECT {service}, {self.type_id['kf.InferenceService']}, CONCAT({environment}, ':service-', n + 1)"
            f" FROM {rows}",
            f"INSERT INTO ParentContext (context_id, parent_context_id) SELECT {service}, {environment} FROM {rows}",
            "INSERT INTO Execution (id, type_id, last_known_state, name)"
            f" SELECT n + 1, {self.type_id['kf.ServeModel']}, n % 4, CONCAT('serve-', n + 1) FROM {rows}",
            "INSERT INTO ExecutionProperty (execution_id, name, is_custom_property, int_value)"
            f" SELECT n + 1, 'model_version_id', 0, {version} FROM {rows}",
            f"INSERT INTO Association (id, context_id, execution_id) SELECT n + 1, {service}, n + 1 FROM {rows}",
            "INSERT INTO Event (id, artifact_id, execution_id, type, milliseconds_since_epoch)"
            f" SELECT n + 1, n + 1, n + 1, 3, IF(n % 2, NULL, {EPOCH} + n) FROM {rows}",
            f"INSERT INTO EventPath (event_id, is_index_step, step_index) SELECT n + 1, 1, n FROM {rows}",
            # Two rows that are equal in every column: the table has no key.
            f"INSERT INTO EventPath (event_id, is_index_step, step_key) SELECT n + 1, 0, {step} FROM {rows}",
            f"INSERT INTO EventPath (event_id, is_index_step, step_key) SELECT n + 1, 0, {step} FROM {rows}",
        )
        self.context_property(service, "model_version_id", "int_value", version, rows)
        self.context_property(service, "serving_environment_id", "int_value", str(environment), rows)

    def leave_gaps(self) -> None:
        """Raise counters as deleted rows do: the next id is not the greatest plus one."""
        gaps = {"Artifact": self.shape.artifact_count + 8, "Context": self.shape.models + 2 * self.shape.versions + 50}
        self.execute(*(f"ALTER TABLE {table} AUTO_INCREMENT = {value}" for table, value in gaps.items()))


def numbers(count: int, first: int = 0) -> str:
    """Return a table expression with one column `n`: `count` numbers from `first` on, on any server."""
    digits = len(str(max(count - 1, 0)))
    digit = "(SELECT 0 AS d" + "".join(f" UNION ALL SELECT {each}" for each in range(1, 10)) + ")"
    joined = " CROSS JOIN ".join(f"{digit} AS d{place}" for place in range(digits))
    value = " + ".join(f"d{place}.d * {10**place}" for place in range(digits))
    return f"(SELECT {first} + {value} AS n FROM {joined} WHERE {value} < {count}) AS numbers"


def generate(connection: "Connection", shape: Shape | None = None) -> None:
    """Create and fill a registry in the connection's database, which must be empty."""
    filler = Filler(connection, shape or Shape())
    # Deterministic in every session, and what the registry's own clients have.
    filler.execute("SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO'")
    for write in (
        filler.create_schema,
        filler.models,
        filler.versions,
        filler.artifacts,
        filler.deployments,
        filler.leave_gaps,
    ):
        write()
        connection.commit()
