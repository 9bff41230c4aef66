import json
from pathlib import Path
from typing import Any

import yaml

from opskit.redaction import MASK
from opskit.settings import load_settings
from tests.unit.command_line import environment, opskit_command, run
from tests.unit.configuration import EVERYTHING, SECRET, changed, scalars


def with_files(directory: Path) -> dict[str, Any]:
    """The whole configuration; every file that it names exists."""
    document = EVERYTHING
    for path, value in scalars(EVERYTHING):
        if str(path[-1]).endswith("_file"):
            file = directory / str(value).lstrip("/").replace("/", "-")
            file.write_text("content")
            document = changed(path, str(file), document)
    return document


def write(document: object, directory: Path) -> str:
    config = directory / "opskit.yaml"
    config.write_text(yaml.safe_dump(document))
    return str(config)


def test_effective_configuration_is_shown_with_secrets_masked_and_can_be_read_back(tmp_path: Path) -> None:
    config = write(with_files(tmp_path), tmp_path)
    ended = run(
        opskit_command("config", "check", "--config", config), tmp_path, environment(OPSKIT_BACKUP__WORKERS="9")
    )
    assert ended.returncode == 0
    assert ended.stdout.startswith("# valid; backups are in s3://registry-backups/opskit (configured)\n")
    assert SECRET not in ended.stdout + ended.stderr
    assert MASK in ended.stdout
    (tmp_path / "shown.yaml").write_text(ended.stdout.replace(MASK, SECRET))
    given = load_settings(Path(config), {"OPSKIT_BACKUP__WORKERS": "9"})
    assert load_settings(tmp_path / "shown.yaml", {}) == given


def test_json_names_the_storage_and_masks_secrets(tmp_path: Path) -> None:
    config = write(with_files(tmp_path), tmp_path)
    ended = run(opskit_command("--config", config, "--json", "config", "check"), tmp_path)
    assert SECRET not in ended.stdout
    document = json.loads(ended.stdout)
    assert document["storage"] == {"url": "s3://registry-backups/opskit", "default": False}
    assert document["settings"]["registries"][1]["mysql"]["password"] == MASK


def test_default_storage_is_named_as_such(tmp_path: Path) -> None:
    ended = run(opskit_command("config", "check"), tmp_path)
    assert ended.stdout.startswith(f"# valid; backups are in {(tmp_path / 'opskit-backups').as_uri()} (default)\n")


def test_every_file_that_cannot_be_read_is_named_with_its_key(tmp_path: Path) -> None:
    ended = run(opskit_command("config", "check", "--config", write(EVERYTHING, tmp_path)), tmp_path)
    assert ended.returncode == 78
    told = ended.stderr.splitlines()
    assert told[0] == "error: the configuration names files that cannot be read:"
    assert len(told) == 1 + sum(str(path[-1]).endswith("_file") for path, _ in scalars(EVERYTHING))
    assert "  registries[0].mysql.password_file: /run/password: No such file or directory" in told
    assert "  storage.copies[0].ca_file: /etc/opskit/ca.crt: No such file or directory" in told
