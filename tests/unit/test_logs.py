import logging
import re
from pathlib import Path

import pytest

from opskit.cli import logs
from opskit.redaction import MASK, conceal
from tests.unit.command_line import environment, run, stand_in_command

logger = logging.getLogger("opskit.test")


def test_lines_carry_their_time_in_utc_where_nobody_sits_before_them(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.to_standard_error():
        logger.warning("the lock was refused")
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING opskit.test: the lock was refused\n", err)


def test_each_record_is_one_line_without_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.to_standard_error():
        logger.warning("table %s", "a\nb\x1b[31m\x9b")
    assert capsys.readouterr().err.endswith(r"table a\nb\x1b[31m\x9b" + "\n")


def test_secret_that_was_read_is_masked_in_message_argument_and_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    secret = conceal("swordfish-of-the-logs")
    with logs.to_standard_error():
        logger.warning("password %s", secret)
        logger.warning("password " + secret)  # noqa: G003 - also where it is not an argument
        try:
            int(secret)
        except ValueError:
            logger.exception("failed")
    err = capsys.readouterr().err
    assert secret not in err
    assert err.count(MASK) == 3


def test_foreign_libraries_say_warnings_only_whatever_opskit_says(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.to_standard_error():
        logs.set_level(logging.DEBUG)
        logger.debug("ours")
        logging.getLogger("botocore.auth").debug("signature")
        logging.getLogger("botocore.auth").warning("theirs")
    err = capsys.readouterr().err
    assert "ours" in err
    assert "theirs" in err
    assert "signature" not in err


def test_nothing_is_left_behind() -> None:
    before = list(logging.getLogger().handlers)
    with logs.to_standard_error():
        assert logging.getLogger().handlers != before
    assert logging.getLogger().handlers == before


SPEAK = (
    "import logging; logger = logging.getLogger('opskit.x'); logger.debug('d'); logger.info('i'); logger.warning('w')"
)


@pytest.mark.parametrize(
    ("options", "levels"),
    [([], "IW"), (["-v"], "DIW"), (["--verbose"], "DIW"), (["-q"], "W"), (["--quiet"], "W")],
)
def test_options_choose_how_much_is_said(options: list[str], levels: str, tmp_path: Path) -> None:
    err = run(stand_in_command(SPEAK, *options), tmp_path).stderr
    assert "".join(re.findall(r"Z ([DIW])", err)) == levels


def test_no_output_of_a_failed_command_holds_the_password_it_used(tmp_path: Path) -> None:
    environ = environment(
        OPSKIT_MYSQL_URL="mysql://u@h/d", OPSKIT_STORAGE_URL="file:///x", OPSKIT_MYSQL_PASSWORD="swordfish"
    )
    for statement in ("raise errors.DeniedError(password, hint=password)", "raise RuntimeError(password)"):
        body = f"password = invocation.registry.mysql.read_password(); {statement}"
        ended = run(stand_in_command(body, "--json"), tmp_path, environ)
        assert MASK in ended.stderr
        assert "swordfish" not in ended.stdout + ended.stderr.replace("'swordfish'", "")
