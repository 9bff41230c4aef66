import itertools
import logging
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from opskit.cli.gravity import ORDER, gravest
from opskit.cli.invocation import Invocation
from opskit.cli.outcomes import Outcome, for_each_registry
from opskit.errors import ConfigurationError, CorruptError, OpskitError, UnavailableError, UsageError
from opskit.redaction import MASK, conceal
from opskit.settings import Registry


def invocation_for(names: list[str], tmp_path: Path, chosen: tuple[str, ...] = ()) -> Invocation:
    config = tmp_path / "opskit.yaml"
    mysql = {"host": "h", "user": "u", "database": "d"}
    document = {"storage": {"url": "file:///x"}, "registries": [{"name": name, "mysql": mysql} for name in names]}
    config.write_text(yaml.safe_dump(document))
    return Invocation(config=config, registry_names=chosen)


def test_the_design_s_order_of_gravity_holds() -> None:
    for graver, lighter in itertools.pairwise((65, 78, 77, 73, 70, 69, 75, 1, 0)):
        assert gravest([lighter, graver, lighter]) == graver


@given(st.lists(st.sampled_from(ORDER), min_size=1))
def test_gravest_is_one_of_the_codes_whatever_their_order(codes: list[int]) -> None:
    assert gravest(codes) in codes
    assert gravest(codes) == gravest(reversed(codes))


def test_every_error_of_a_registry_has_its_weight() -> None:
    def codes(root: type[OpskitError]) -> set[int]:
        return {root.exit_code}.union(*(codes(child) for child in root.__subclasses__()))

    assert codes(OpskitError) - {UsageError.exit_code} <= set(ORDER)


def test_nothing_to_weigh_is_done_and_an_unknown_code_is_not_lost() -> None:
    assert gravest([]) == 0
    assert gravest([0, 65, 99]) == 99


def test_other_registries_go_on_after_a_failure(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    invocation = invocation_for(["a", "b", "c", "d"], tmp_path)

    def back_up(registry: Registry) -> str:
        if registry.name == "a":
            raise UnavailableError("cannot connect", hint="is it up?")
        if registry.name == "b":
            raise CorruptError("damaged")
        if registry.name == "c":
            raise KeyError("bug")
        return "a backup"

    with caplog.at_level(logging.ERROR):
        outcomes = for_each_registry(invocation, back_up)
    assert outcomes == [
        Outcome("a", error={"message": "cannot connect", "hint": "is it up?", "exit_code": 69}),
        Outcome("b", error={"message": "damaged", "hint": None, "exit_code": 65}),
        Outcome("c", error={"message": "KeyError: 'bug'", "hint": None, "exit_code": 70}),
        Outcome("d", "a backup"),
    ]
    assert gravest(invocation.codes) == 65
    assert [record.getMessage() for record in caplog.records] == [
        "a: cannot connect (is it up?)",
        "b: damaged",
        "c: a bug in opskit",
    ]
    assert caplog.records[2].exc_info


def test_outcome_shows_no_secret(tmp_path: Path) -> None:
    secret = conceal("swordfish-of-the-outcomes")

    def fail(registry: Registry) -> None:
        raise (CorruptError if registry.name == "a" else KeyError)(secret)

    outcomes = for_each_registry(invocation_for(["a", "b"], tmp_path), fail)
    assert [outcome.error and outcome.error["message"] for outcome in outcomes] == [MASK, f"KeyError: '{MASK}'"]


def test_error_of_the_only_registry_is_raised_as_it_is(tmp_path: Path) -> None:
    invocation = invocation_for(["a", "b"], tmp_path, chosen=("b",))

    def fail(registry: Registry) -> None:
        raise CorruptError(registry.name)

    with pytest.raises(CorruptError, match=r"^b$"):
        for_each_registry(invocation, fail)


def test_interruption_stops_all_registries(tmp_path: Path) -> None:
    called = []

    def interrupt(registry: Registry) -> None:
        called.append(registry.name)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for_each_registry(invocation_for(["a", "b"], tmp_path), interrupt)
    assert called == ["a"]


def test_command_for_one_registry_asks_which(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        _ = invocation_for(["a", "b"], tmp_path).registry
    assert caught.value.hint == "choose one with --registry: a, b"
    assert invocation_for(["a", "b"], tmp_path, chosen=("b",)).registry.name == "b"
    with pytest.raises(ConfigurationError):
        _ = invocation_for([], tmp_path).registry
