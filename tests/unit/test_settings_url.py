import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit.errors import ConfigurationError
from opskit.settings import load_settings
from opskit.settings.kinds import NAME
from opskit.settings.url import parse_mysql_url, registry_name


def told(environ: dict[str, str], mysql_url: str | None = None, storage_url: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(None, environ, mysql_url=mysql_url, storage_url=storage_url)
    return caught.value.message


def test_one_url_describes_a_registry_named_after_its_database() -> None:
    settings = load_settings(
        None,
        {
            "OPSKIT_MYSQL_URL": "mysql://ops%40kit@db.example.com:3307/model%2Fregistry",
            "OPSKIT_MYSQL_PASSWORD": "pass:/@word",
            "OPSKIT_STORAGE_URL": "s3://bucket/prefix/",
        },
    )
    registry = settings.registries[0]
    assert registry.name == "model-registry-2a57e770"
    assert (registry.mysql.host, registry.mysql.port) == ("db.example.com", 3307)
    assert (registry.mysql.user, registry.mysql.database) == ("ops@kit", "model/registry")
    assert registry.mysql.read_password() == "pass:/@word"
    assert registry.mysql.tls.mode == "required"
    assert settings.storage.url == "s3://bucket/prefix"


def test_tls_is_chosen_behind_the_question_mark() -> None:
    tls = (
        load_settings(None, {}, mysql_url="mysql://u@[::1]/d?tls=verify_ca&ca_file=/etc/my%20ca")
        .registries[0]
        .mysql.tls
    )
    assert (tls.mode, str(tls.ca_file)) == ("verify_ca", "/etc/my ca")
    assert (
        load_settings(None, {}, mysql_url="mysql://u@h/d?ca_file=/ca").registries[0].mysql.tls.mode == "verify_identity"
    )
    assert "registries[0].mysql.tls.mode: must be 'disabled'" in told({}, "mysql://u@h/d?tls=no")


def test_options_come_before_variables_and_variables_before_the_default() -> None:
    environ = {"OPSKIT_MYSQL_URL": "mysql://u@h/variable", "OPSKIT_STORAGE_URL": "file:///variable"}
    assert load_settings(None, environ).registries[0].name == "variable"
    settings = load_settings(None, environ, mysql_url="mysql://u@h/option", storage_url="file:///option")
    assert settings.registries[0].name == "option"
    assert settings.storage.url == "file:///option"
    assert not settings.storage_is_default


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:hunter2@host/database",
        "mysql://user:hun/ter2@host/database",
        "mysql://user:hun@ter2@host/database",
        "mysql://user:hun#ter2@host/database",
        "mysql://user:hun?ter2@host/database",
        "mysql://user:hun[ter2@host/database",
        "user:hunter2@host/database",
    ],
)
def test_password_in_a_url_is_refused_and_never_shown(url: str) -> None:
    message = told({}, url)
    assert message.splitlines()[1].startswith("  --mysql-url: ")
    assert "hun" not in message
    assert "ter2" not in message


def test_refused_password_comes_with_the_place_for_it() -> None:
    assert "OPSKIT_MYSQL_PASSWORD_FILE" in told({"OPSKIT_MYSQL_URL": "mysql://u:p@h/d"})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "POSTGRESQL"])
def test_postgresql_url_is_refused_by_name(scheme: str) -> None:
    assert "PostgreSQL registries are not supported" in told({"OPSKIT_MYSQL_URL": f"{scheme}://u@h/d"})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://",
        "mysql://host/database",
        "mysql://user@/database",
        "mysql://user@host",
        "mysql://user@host/",
        "mysql://user@host/a/b",
        "mysql://user@host:port/d",
        "mysql://user@host:99999/d",
        "mysql://user@host/d#x",
        "mysql://user@host/%ff",
        "mysql://user@host/d?bogus=1",
        "mysql://user@host/d?tls",
        "mysql://user@host/d?tls=required&tls=disabled",
        "http://user@host/d",
    ],
)
def test_url_of_another_form_is_rejected(url: str) -> None:
    assert told({"OPSKIT_MYSQL_URL": url}).startswith("the configuration is not valid:\n  OPSKIT_MYSQL_URL: ")


def test_url_beside_listed_registries_is_ambiguous() -> None:
    listed = {
        "OPSKIT_REGISTRIES__0__NAME": "a",
        "OPSKIT_REGISTRIES__0__MYSQL__HOST": "h",
        "OPSKIT_REGISTRIES__0__MYSQL__USER": "u",
        "OPSKIT_REGISTRIES__0__MYSQL__DATABASE": "d",
    }
    assert "--mysql-url: describes a registry, and others are listed" in told(listed, "mysql://u@h/d")
    lost = told({**listed, "OPSKIT_MYSQL_PASSWORD": "x"})
    assert "OPSKIT_MYSQL_PASSWORD: belongs to OPSKIT_MYSQL_URL, which is not set" in lost


def test_both_sources_of_the_password_are_one_too_many() -> None:
    environ = {"OPSKIT_MYSQL_PASSWORD": "x", "OPSKIT_MYSQL_PASSWORD_FILE": "/x"}
    assert "registries[0].mysql.password_file: give password or password_file, not both" in told(
        environ, "mysql://u@h/d"
    )


def test_storage_url_given_by_two_variables_is_one_too_many() -> None:
    environ = {"OPSKIT_STORAGE_URL": "file:///a", "OPSKIT_STORAGE__URL": "file:///b"}
    assert "OPSKIT_STORAGE_URL: OPSKIT_STORAGE__URL is the same setting" in told(environ)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=64))
def test_every_database_gives_a_name_that_can_be_a_folder(database: str) -> None:
    assert NAME.fullmatch(registry_name(database))
    assert (registry_name(database) == database) == bool(NAME.fullmatch(database))


def test_databases_that_look_alike_get_names_of_their_own() -> None:
    assert len({registry_name(database) for database in ("a b", "a/b", "a-b", "é", "è", "x" * 64, "x" * 63 + "y")}) == 7


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_user_and_database_survive_percent_encoding(text: str) -> None:
    from urllib.parse import quote  # noqa: PLC0415 - the counterpart of what is tested

    section = parse_mysql_url(f"mysql://{quote(text, safe='')}@h/{quote(text, safe='')}")
    assert section == {"host": "h", "user": text, "database": text}
