from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from opskit.errors import ConfigurationError
from opskit.settings import Settings, load_settings
from tests.unit.configuration import EVERYTHING, scalars

FILE = {
    "storage": {"url": "s3://bucket"},
    "registries": [{"name": "a", "mysql": {"host": "h", "user": "u", "database": "d", "password_file": "/from/file"}}],
}


def variables(document: object) -> dict[str, str]:
    """The same configuration as environment variables."""
    return {
        "OPSKIT_" + "__".join(str(key).upper() for key in path): str(value)
        for path, value in scalars(document)
        if value is not None
    }


def load(environ: dict[str, str], tmp_path: Path) -> Settings:
    path = tmp_path / "opskit.yaml"
    path.write_text(yaml.safe_dump(FILE))
    return load_settings(path, environ)


def told(environ: dict[str, str], tmp_path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, tmp_path)
    return caught.value.message


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=9)
files = words.map(lambda word: f"/{word}")
names = st.text("abcXYZ019", min_size=1, max_size=9)
durations = st.builds(lambda number, unit: f"{number}{unit}", st.integers(1, 999), st.sampled_from("smh"))
stores = st.fixed_dictionaries(
    {"url": st.sampled_from(["s3://bucket/prefix", "file:///backups"])},
    optional={"region": words, "ca_file": files, "path_style": st.booleans()},
)
secrets: SearchStrategy[dict[str, str]] = st.one_of(
    st.just({}), words.map(lambda word: {"password": word}), files.map(lambda file: {"password_file": file})
)
tls = st.sampled_from([{}, {"mode": "disabled"}, {"ca_file": "/ca"}, {"mode": "verify_ca", "ca_file": "/ca"}])


def with_secret(section: SearchStrategy[dict[str, object]]) -> SearchStrategy[dict[str, object]]:
    return st.builds(lambda keys, secret: {**keys, **secret}, section, secrets)


registries: SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "name": names,
        "mysql": with_secret(
            st.fixed_dictionaries(
                {"host": words, "user": words, "database": st.text("äß漢x", min_size=1, max_size=9)},
                optional={"port": st.integers(1, 65_535), "tls": tls},
            )
        ),
    },
    optional={"restore": with_secret(st.fixed_dictionaries({"user": words}))},
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "storage": st.builds(lambda store, copies: {**store, "copies": copies}, stores, st.lists(stores, max_size=2)),
        "registries": st.lists(registries, max_size=3, unique_by=lambda registry: registry["name"].lower()),
        "backup": st.fixed_dictionaries(
            {"workers": st.integers(1, 64)},
            optional={"min_interval": durations, "server_checksum": st.booleans()},
        ),
        "rehearse": st.fixed_dictionaries({"max_bytes": st.integers(0, 10**12)}),
        "encryption": st.fixed_dictionaries({"recipients": st.lists(words, max_size=12)}),
    },
)


@given(documents)
def test_file_and_environment_give_the_same_settings(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("settings") / "opskit.yaml"
    path.write_text(yaml.safe_dump(document))
    assert load_settings(path, {}) == load_settings(None, variables(document))


def test_every_key_can_come_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "opskit.yaml"
    path.write_text(yaml.safe_dump(EVERYTHING))
    assert load_settings(None, variables(EVERYTHING)) == load_settings(path, {})


def test_environment_beats_the_file_and_leaves_the_rest_of_it(tmp_path: Path) -> None:
    environ = {
        "OPSKIT_REGISTRIES__0__MYSQL__HOST": "other",
        "OPSKIT_REGISTRIES__1__NAME": "b",
        "OPSKIT_REGISTRIES__1__MYSQL__HOST": "h2",
        "OPSKIT_REGISTRIES__1__MYSQL__USER": "u2",
        "OPSKIT_REGISTRIES__1__MYSQL__DATABASE": "d2",
    }
    settings = load(environ, tmp_path)
    assert [(r.name, r.mysql.host, r.mysql.user) for r in settings.registries] == [
        ("a", "other", "u"),
        ("b", "h2", "u2"),
    ]
    assert settings.storage.url == "s3://bucket"


def test_secret_in_the_environment_replaces_the_file_s_other_source_of_it(tmp_path: Path) -> None:
    mysql = load({"OPSKIT_REGISTRIES__0__MYSQL__PASSWORD": "new password"}, tmp_path).registries[0].mysql
    assert mysql.password_file is None
    assert mysql.read_password() == "new password"
    (tmp_path / "password").write_text("from a file")
    variable = {"OPSKIT_REGISTRIES__0__MYSQL__PASSWORD_FILE": str(tmp_path / "password")}
    assert load(variable, tmp_path).registries[0].mysql.read_password() == "from a file"


def test_both_sources_of_a_secret_in_the_environment_are_one_too_many(tmp_path: Path) -> None:
    message = told(
        {
            "OPSKIT_REGISTRIES__0__MYSQL__PASSWORD": "new password",
            "OPSKIT_REGISTRIES__0__MYSQL__PASSWORD_FILE": "/x",
        },
        tmp_path,
    )
    assert "give password or password_file, not both (from OPSKIT_REGISTRIES__0__MYSQL__PASSWORD_FILE)" in message
    assert "new password" not in message


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("OPSKIT_STORAGE__ULR", "x", "storage.ulr: unknown key (from OPSKIT_STORAGE__ULR)"),
        ("OPSKIT_MYSQL_PORT", "3307", "mysql_port: unknown key (from OPSKIT_MYSQL_PORT)"),
        ("OPSKIT_MYSQL_URLS", "x", "mysql_urls: unknown key (from OPSKIT_MYSQL_URLS)"),
        (
            "OPSKIT_STORAGE",
            "s3://b",
            "storage: must be a section, with keys of its own (from OPSKIT_STORAGE)",
        ),
        ("OPSKIT_STORAGE__0__URL", "x", "OPSKIT_STORAGE__0__URL: there is no list here"),
        ("OPSKIT_REGISTRIES__NAME", "x", "OPSKIT_REGISTRIES__NAME: there is no section here"),
        ("OPSKIT_REGISTRIES__2__NAME", "x", "OPSKIT_REGISTRIES__2__NAME: there is no item 1 before it"),
        ("OPSKIT_REGISTRIES__X__NAME", "x", "OPSKIT_REGISTRIES__X__NAME: there is no section here"),
        (
            "OPSKIT_REGISTRIES__0__MYSQL__HOST",
            "",
            "must not be empty (from OPSKIT_REGISTRIES__0__MYSQL__HOST)",
        ),
        ("OPSKIT_storage__url", "x", "OPSKIT_storage__url: unknown variable: settings are in upper case"),
        ("OPSKIT_DISCOVER__NAMESPACE", "\udcff", "unable to parse raw data as a unicode string"),
        ("OPSKIT_", "x", "unknown key (from OPSKIT_)"),
    ],
)
def test_variable_that_fits_no_setting_is_rejected_by_name(name: str, value: str, problem: str, tmp_path: Path) -> None:
    assert problem in told({name: value}, tmp_path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPSKIT_SERVICE_HOST", "10.0.0.1"),
        ("OPSKIT_SERVICE_PORT", "8080"),
        ("OPSKIT_SERVICE_PORT_HTTP_METRICS", "8080"),
        ("OPSKIT_PORT", "tcp://10.0.0.1:8080"),
        ("OPSKIT_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("OPSKIT_PORT_8080_TCP_PROTO", "tcp"),
        ("OPSKIT_PORT_8080_TCP_PORT", "8080"),
        ("OPSKIT_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("OPSKIT_SERVE_SERVICE_HOST", "10.0.0.1"),
        ("OPSKIT_SERVE_SERVICE_PORT_HTTP", "8080"),
        ("OPSKIT_SERVE_PORT", "tcp://10.0.0.1:8080"),
        ("OPSKIT_SERVE_PORT_53_UDP_ADDR", "10.0.0.1"),
        ("OPSKIT_TESTS_MUST_RUN", "mysql"),
        ("OPSKIT_TEST_MYSQL_URL", "mysql://u@h/d"),
        ("OPSKIT_CACHE", "/cache"),
        ("OPSKITTEN", "x"),
        ("PATH", "/bin"),
    ],
)
def test_service_links_and_variables_for_others_are_let_pass(name: str, value: str, tmp_path: Path) -> None:
    assert load({name: value}, tmp_path) == load({}, tmp_path)
