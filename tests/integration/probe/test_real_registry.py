"""The registry's own server on a real MySQL: probed, broken, probed again; backed up, damaged, restored, asked."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from opskit.probe.rest import check
from opskit.probe.result import CheckResult, State
from opskit.probe.web import Web
from sandbox.model_registry import ModelRegistry
from sandbox.server import OwnServer, Server
from tests.integration.probe.conftest import MARGIN_SECONDS, Database, result_of
from tests.unit.command_line import environment, opskit_command, run
from tests.waiting import eventually

Start = Callable[[Server, str], ModelRegistry]


def begun(registry: ModelRegistry) -> ModelRegistry:
    """Wait until it has migrated its schema and answers."""

    def asked() -> bool:
        try:
            return "items" in registry.get("registered_models")
        except OSError:  # nothing listens yet, or it answers 503
            return False

    eventually(asked, "the registry answers")
    return registry


def model(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "uri": f"s3://models/{name}/1",
        "version": "1.0",
        "model_format_name": "onnx",
        "model_format_version": "1",
        "metadata": {"accuracy": 0.1, "epochs": 7, "served": True, "note": "naïve 漢"},
    }


MODELS = (model("distance-prediction"), model("naïve 漢 model"))


def content(registry: ModelRegistry) -> dict[str, Any]:
    paths = ("registered_models", "model_versions", "model_artifacts")
    return {path: registry.get(f"{path}?pageSize=100&orderBy=ID")["items"] for path in paths}


def probed(registry: ModelRegistry) -> CheckResult:
    web = Web(registry.url, MARGIN_SECONDS)
    return result_of(lambda: check(web, certificate_min_days=14), layer="rest")


def test_real_registry_is_well_broken_with_its_database_and_well_again(
    breakable: OwnServer, real_registry: Start
) -> None:
    breakable.execute("CREATE DATABASE real_registry")
    registry = begun(real_registry(breakable, "real_registry"))
    registry.register(*MODELS)
    well = probed(registry)
    assert well.state is State.OK
    assert "RHOAI from 2.24 on, v1alpha3: models can be read" in well.detail
    database = Database(breakable, "real_registry").probed()
    assert database.state in (State.OK, State.WARNING)
    assert "EmbedMD" in database.detail

    breakable.service.stop()
    try:
        broken = probed(registry)
    finally:
        breakable.service.start()
    assert broken.state is State.CRITICAL
    eventually(lambda: probed(registry).state is State.OK, "the registry has its database again")
    breakable.execute("DROP DATABASE real_registry")


def test_what_the_real_registry_wrote_comes_back_and_it_goes_on(
    mysql: Server, database: str, real_registry: Start, tmp_path: Path
) -> None:
    registry = begun(real_registry(mysql, database))
    registry.register(*MODELS)
    before = content(registry)
    assert [len(each) for each in before.values()] == [2, 2, 2]
    settings = environment(
        OPSKIT_MYSQL_URL=f"mysql://{mysql.user}@{mysql.host}:{mysql.port}/{database}",
        OPSKIT_MYSQL_PASSWORD=mysql.password,
        OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri(),
    )

    def opskit(*arguments: str) -> dict[str, Any]:
        ended = run(opskit_command("--json", *arguments), tmp_path, settings)
        assert ended.returncode == 0, ended.stderr
        document: dict[str, Any] = json.loads(ended.stdout)
        return document

    (backup,) = opskit("backup", "create")["backups"]
    assert backup["registry_problems"] == []
    assert opskit("backup", "rehearse", backup["id"])

    for each in before["registered_models"]:
        mysql.execute(f"DELETE FROM `{database}`.Context WHERE id = {each['id']}")
    assert registry.get("registered_models")["items"] == []
    opskit("restore", "run", backup["id"], "--swap", "--yes")
    registry.service.stop()
    registry.service.start()
    assert content(begun(registry)) == before
    registry.register(model("one more"))
    assert len(registry.get("registered_models")["items"]) == 3
    registry.service.stop()
