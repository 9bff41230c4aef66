import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit.registry.text import readable
from sandbox.registry_text import as_stored

# Surrogates are no text: neither UTF-8 nor MySQL can hold them.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS)
def test_what_mlmd_stores_reads_as_it_was_written(text: str) -> None:
    assert readable(as_stored(text, "mlmd")) == text


@pytest.mark.parametrize("text", ["", "ascii", "é", "naïve", "模型", "🚀", "Ÿ", "caf\u00e9 au lait", "Ã", "€", "\x81"])
def test_text_that_is_not_double_encoded_stays(text: str) -> None:
    assert readable(text) == text


def test_example_of_the_measurement() -> None:
    stored = bytes.fromhex("6D6E69737420C383C2A920C3A6C2A8C2A1C3A5C5BEE280B9").decode()
    assert readable(stored) == "mnist é 模型"
