from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from opskit.errors import ConfigurationError, UsageError
from opskit.redaction import MASK, mask
from opskit.settings import Settings, load_settings
from opskit.settings import source as settings_source
from opskit.settings.source import path_text
from tests.unit.configuration import EVERYTHING, NOT_GIVEN, SECRET, changed, key_paths, nodes, scalars, sections

NAME_RULE = "must be 1 to 63 letters, digits, '.', '_' or '-', and start with a letter or digit"
MINIMAL = {"registries": [{"name": "a", "mysql": {"host": "h", "user": "u", "database": "d"}}]}


def load(document: object, tmp_path: Path, **environ: str) -> Settings:
    path = tmp_path / "opskit.yaml"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return load_settings(path, environ)


def problems(document: object, tmp_path: Path, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(document, tmp_path, **environ)
    return caught.value.message


def with_mysql(**keys: object) -> dict[str, object]:
    return {"registries": [{"name": "a", "mysql": {"host": "h", "user": "u", "database": "d", **keys}}]}


def test_every_key_can_be_given(tmp_path: Path) -> None:
    given = {".".join(str(key) for key in path if isinstance(key, str)) for path, _ in nodes(EVERYTHING) if path}
    assert given == set(key_paths(Settings)) - NOT_GIVEN
    settings = load(EVERYTHING, tmp_path)
    assert settings.storage.copies[0].region == "eu-west-1"
    assert settings.registries[0].mysql.port == 3307
    assert settings.registries[0].mysql.password_file == Path("/run/password")
    assert settings.backup.max_duration == timedelta(hours=4)
    assert settings.rehearse.max_bytes == 2 * 1024**3
    assert settings.probe.rehearsal_max_age == timedelta(days=9)
    assert not settings.storage_is_default


@pytest.mark.parametrize("section", sections(EVERYTHING), ids=path_text)
def test_unknown_key_is_rejected_at_every_level(section: settings_source.Path, tmp_path: Path) -> None:
    path = (*section, "bogus")
    assert f"{path_text(path)}: unknown key" in problems(changed(path, 1), tmp_path)


@pytest.mark.parametrize(("path", "value"), scalars(EVERYTHING), ids=str)
def test_no_error_shows_what_stands_where_a_secret_may_stand(
    path: settings_source.Path, value: object, tmp_path: Path
) -> None:
    del value
    for wrong in ([SECRET], {"key": SECRET}, [[SECRET]], {"key": [SECRET]}):
        assert SECRET not in problems(changed(path, wrong), tmp_path)


@pytest.mark.parametrize("path", [path for path, value in scalars(EVERYTHING) if not isinstance(value, str)], ids=str)
def test_no_error_shows_a_secret_given_as_a_number_or_switch(path: settings_source.Path, tmp_path: Path) -> None:
    assert SECRET not in problems(changed(path, SECRET), tmp_path)


def test_all_problems_are_told_at_once_each_with_its_path(tmp_path: Path) -> None:
    document = """
        storage: {url: s3://b/p, ulr: x}
        registries:
          - name: a b
            mysql: {host: h, port: yes, user: u, database: d, password: x, password_file: /x,
                    tls: {mode: required, ca_file: /c}}
          - name: c
            name: d
            mysql: {host: h, user: 1, database: ""}
          - {name: D, mysql: {host: h, user: u, database: d}}
        backup: {max_duration: 24h, min_interval: 3, workers: 2.5}
        retention: 3
        artifacts: {stores: x}
    """
    told = problems(
        document,
        tmp_path,
        OPSKIT_REGISTRIES__1__MYSQL__PORT="99999",
        OPSKIT_BOGUS="1",
        OPSKIT_storage__url="x",
    )
    assert told == "\n  ".join(
        (
            "the configuration is not valid:",
            "line 8: the key 'name' is given twice",
            "OPSKIT_storage__url: unknown variable: settings are in upper case",
            "registries[2].name: registries[1] has this name already",
            "storage.ulr: unknown key",
            f"registries[0].name: {NAME_RULE}",
            "registries[0].mysql.password_file: give password or password_file, not both",
            "registries[0].mysql.port: must be a number",
            ("registries[0].mysql.tls.ca_file: is not used with mode required: choose verify_ca or verify_identity"),
            "registries[1].mysql.user: must be a valid string",
            ("registries[1].mysql.port: must be less than or equal to 65535 (from OPSKIT_REGISTRIES__1__MYSQL__PORT)"),
            "registries[1].mysql.database: must not be empty",
            "backup.workers: must be a valid integer, got a number with a fractional part",
            "backup.max_duration: must be more than 0s and less than 24h",
            "backup.min_interval: must be a duration such as 90s, 10m, 6h or 8d",
            "retention: must be a section, with keys of its own",
            "artifacts.stores: must be a list",
            "bogus: unknown key (from OPSKIT_BOGUS)",
        )
    )


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(MINIMAL, tmp_path)
    with pytest.raises(ValidationError):
        settings.backup.workers = 1


def test_secrets_are_in_no_representation(tmp_path: Path) -> None:
    settings = load(EVERYTHING, tmp_path)
    for text in (repr(settings), str(settings), settings.model_dump_json(), str(settings.model_dump())):
        assert SECRET not in text


def test_validation_error_of_a_section_shows_no_input() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(changed(("backup", "workers"), SECRET))
    assert SECRET not in str(caught.value)


def test_a_secret_is_masked_everywhere_once_it_was_read(tmp_path: Path) -> None:
    settings = load(with_mysql(password="only-in-this-test"), tmp_path)
    assert mask("it was only-in-this-test!") == "it was only-in-this-test!"
    assert settings.registries[0].mysql.read_password() == "only-in-this-test"
    assert mask("it was only-in-this-test!") == f"it was {MASK}!"


def test_a_secret_within_another_leaves_nothing_of_either(tmp_path: Path) -> None:
    for password in ("inner-part", "with-inner-part-inside"):
        load(with_mysql(password=password), tmp_path).registries[0].mysql.read_password()
    assert mask("with-inner-part-inside") == MASK


@pytest.mark.parametrize("content", [" s3cret! ", " s3cret! \n", " s3cret! \r\n"])
def test_secret_file_is_read_at_use_without_its_newline(content: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    settings = load(with_mysql(password_file=str(file)), tmp_path)
    file.write_bytes(content.encode())
    assert settings.registries[0].mysql.read_password() == " s3cret! "
    file.write_text("rotated")
    assert settings.registries[0].mysql.read_password() == "rotated"


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), (b"\n", "is empty"), (b"\xff", "not UTF-8")])
def test_unusable_secret_file_is_a_configuration_error(content: bytes | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=told):
        load(with_mysql(password_file=str(file)), tmp_path).registries[0].mysql.read_password()


@pytest.mark.parametrize("half", ["access_key_id", "secret_access_key", "secret_access_key_file"])
def test_half_a_key_is_refused(half: str, tmp_path: Path) -> None:
    document = {"storage": {"url": "/b", "copies": [{"url": "s3://b/p", half: "/x"}]}}
    assert "storage.copies[0]: access_key_id and secret_access_key belong together" in problems(document, tmp_path)


def test_no_password_is_an_empty_one(tmp_path: Path) -> None:
    assert load(MINIMAL, tmp_path).registries[0].mysql.read_password() == ""


@pytest.mark.parametrize(
    ("tls", "mode"),
    [
        ({}, "required"),
        ({"ca_file": "/ca"}, "verify_identity"),
        ({"ca_file": "/ca", "mode": "verify_ca"}, "verify_ca"),
        ({"mode": "verify_identity"}, "verify_identity"),
        ({"mode": "disabled"}, "disabled"),
    ],
)
def test_tls_verifies_by_default_where_it_has_a_ca(tls: dict[str, str], mode: str, tmp_path: Path) -> None:
    assert load(with_mysql(tls=tls), tmp_path).registries[0].mysql.tls.mode == mode


@pytest.mark.parametrize("half", ["certificate_file", "key_file"])
def test_half_a_client_certificate_is_refused(half: str, tmp_path: Path) -> None:
    told = problems(with_mysql(tls={half: "/x"}), tmp_path)
    assert "certificate_file and key_file belong together" in told


def test_client_certificate_without_tls_is_refused(tmp_path: Path) -> None:
    tls = {"mode": "disabled", "certificate_file": "/c", "key_file": "/k"}
    assert "are not used with mode disabled" in problems(with_mysql(tls=tls), tmp_path)


@pytest.mark.parametrize("key", ["postgres", "postgresql"])
def test_postgresql_registry_is_refused_by_name(key: str, tmp_path: Path) -> None:
    told = problems({"registries": [{"name": "a", key: {"host": "h"}}]}, tmp_path)
    assert f"registries[0].{key}: PostgreSQL registries are not supported" in told


@pytest.mark.parametrize("name", ["", "-a", ".", "..", "a/b", "a b", "é", "x" * 64, "a\n"])
def test_registry_name_that_cannot_be_a_folder_is_rejected(name: str, tmp_path: Path) -> None:
    document = {"registries": [{"name": name, "mysql": {"host": "h", "user": "u", "database": "d"}}]}
    assert f"registries[0].name: {NAME_RULE}" in problems(document, tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "s3://",
        "s3:///key",
        "https://bucket",
        "file://host/x",
        "relative",
        "s3://key:pw@bucket",
        "file:///x?y",
    ],
)
def test_storage_url_of_another_form_is_rejected(url: str, tmp_path: Path) -> None:
    assert "storage.url: must " in problems({"storage": {"url": url}}, tmp_path)


@pytest.mark.parametrize(("path", "inside"), [("./my backups", "my%20backups"), ("./a", "a"), ("/a", None)])
def test_storage_may_be_a_directory_that_looks_like_one(
    path: str, inside: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = load({"storage": {"url": path}}, tmp_path).storage.url
    assert url == (f"{tmp_path.as_uri()}/{inside}" if inside else "file:///a")


def test_path_style_follows_the_endpoint_unless_told(tmp_path: Path) -> None:
    def uses(**keys: object) -> bool:
        return load({"storage": {"url": "s3://bucket", **keys}}, tmp_path).storage.uses_path_style

    assert not uses()
    assert uses(endpoint_url="https://s3.example.com")
    assert not uses(endpoint_url="https://s3.example.com", path_style=False)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "is not valid YAML (line 1, column 5)"),
        (f"a: !{SECRET}", "is not valid YAML (line 1, column 4)"),
        (f"a: *{SECRET}", "is not valid YAML (line 1, column 4)"),
        (f"a: !{SECRET}!x", "is not valid YAML (line 1, column 4)"),
        (f"a: '{SECRET}", "is not valid YAML"),
        ("a: 2026-99-99", "is not valid YAML"),
        ("a: \0", "is not valid YAML"),
        ("- a", "must hold a mapping"),
        ("a: &a [*a]", "a: unknown key"),
        ("? [a, b]\n: c", "is not valid YAML"),
    ],
)
def test_broken_file_is_a_configuration_error_that_quotes_nothing(text: str, told: str, tmp_path: Path) -> None:
    message = problems(text, tmp_path)
    assert told in message
    assert SECRET not in message


def test_error_keeps_no_foreign_error_that_would_quote_the_file(tmp_path: Path) -> None:
    for text in (f"a: !{SECRET}", f"registries: [{SECRET}]"):
        with pytest.raises(ConfigurationError) as caught:
            load(text, tmp_path)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_keys_that_a_merge_brings_are_not_given_twice(tmp_path: Path) -> None:
    settings = load(
        """
        registries:
          - &first
            name: a
            mysql: &server {host: h, user: u, database: d}
          - <<: *first
            name: b
            mysql: {<<: *server, database: e}
        """,
        tmp_path,
        OPSKIT_REGISTRIES__0__MYSQL__HOST="other",
    )
    assert [(r.name, r.mysql.host, r.mysql.database) for r in settings.registries] == [
        ("a", "other", "d"),
        ("b", "h", "e"),
    ]


def test_missing_or_unreadable_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        load_settings(tmp_path / "none.yaml", {})
    with pytest.raises(ConfigurationError, match="Is a directory"):
        load_settings(None, {"OPSKIT_CONFIG": str(tmp_path)})
    (tmp_path / "latin1.yaml").write_bytes(b"a: \xe9")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_settings(tmp_path / "latin1.yaml", {})


def test_option_names_the_file_before_the_variable(tmp_path: Path) -> None:
    settings = load({"backup": {"workers": 7}}, tmp_path, OPSKIT_CONFIG=str(tmp_path / "none.yaml"))
    assert settings.backup.workers == 7


def test_without_anything_backups_go_beside_where_opskit_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {})
    assert settings.storage.url == (tmp_path / "opskit-backups").as_uri()
    assert settings.storage_is_default


def test_registries_are_chosen_by_name(tmp_path: Path) -> None:
    settings = load(EVERYTHING, tmp_path)
    assert settings.registry("second").name == "second"
    assert [registry.name for registry in settings.select()] == ["distance-prediction", "second"]
    assert [registry.name for registry in settings.select(["second", "second"])] == ["second"]
    with pytest.raises(UsageError) as caught:
        settings.select(["second", "third"])
    assert caught.value.hint == "configured: distance-prediction, second"


def test_no_registry_at_all_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no registry is configured"):
        load({}, tmp_path).select()
