"""What can be served, and what only looks like a model."""

import pytest

from opskit.artifacts.layout import judge_layout

GOOD = [("1/model.xml", 9), ("1/model.bin", 9)]


def failures(format_name: str, path: str, *files: tuple[str, int], single: bool = False) -> tuple[str, ...]:
    return judge_layout(format_name, path, files, single=single)[0]


def warnings(format_name: str, path: str, *files: tuple[str, int]) -> tuple[str, ...]:
    found, warned = judge_layout(format_name, path, files, single=False)
    assert not found
    return warned


@pytest.mark.parametrize("format_name", ["openvino_ir", "OpenVINO", "openvino-ir"])
def test_openvino_model_with_a_version_can_be_served(format_name: str) -> None:
    assert judge_layout(format_name, "models/m", GOOD, single=False) == ((), ())


@pytest.mark.parametrize(
    ("path", "files", "reason"),
    [
        ("models/m", [("model.xml", 9), ("model.bin", 9)], "no folder for a version"),
        ("models/m/v1", [("model.xml", 9), ("model.bin", 9)], "no folder for a version"),
        ("models/m", [("v1/model.xml", 9), ("v1/model.bin", 9)], "no folder for a version"),
        ("models/m", [("0/model.xml", 9), ("0/model.bin", 9)], "no folder for a version"),
        ("models/m", [("01/model.xml", 9), ("01/model.bin", 9)], "no folder for a version"),
        ("models/m", [("1/model.xml", 9)], "has no model.bin"),
        ("models/m", [("1/model.xml", 9), ("1/other.bin", 9)], "has no model.bin"),
        ("models/m", [("1/model.xml", 9), ("1/model.bin", 0)], "1/model.bin is empty"),
        ("models/m", [("1/model.xml", 0), ("1/model.bin", 9)], "1/model.xml is empty"),
        ("models/m", [("1/sub/model.xml", 9), ("1/sub/model.bin", 9)], "no .xml"),
        ("models/m", [("1/readme.md", 9)], "no .xml"),
        ("models/m", [("readme.md", 9)], "no .xml"),
        ("models/m", [*GOOD, ("2/model.xml", 9)], "version 2, which is served"),
    ],
)
def test_openvino_model_that_cannot_be_served(path: str, files: list[tuple[str, int]], reason: str) -> None:
    assert any(reason in each for each in failures("openvino_ir", path, *files))


def test_path_that_ends_in_a_version_is_to_be_deployed_without_it() -> None:
    [warning] = warnings("openvino_ir", "models/m/3", ("model.xml", 9), ("model.bin", 9))
    assert "deploy models/m" in warning
    [warning] = warnings("openvino_ir", "models/m/3", *GOOD)
    assert "holds versions itself" in warning


def test_older_version_that_is_broken_is_a_warning() -> None:
    [warning] = warnings("openvino_ir", "models/m", *GOOD, ("2/a.xml", 9), ("2/a.bin", 9), ("1/b.xml", 9)) or [""]
    assert warning == ""
    [warning] = warnings("openvino_ir", "models/m", ("1/model.xml", 9), ("2/a.xml", 9), ("2/a.bin", 9))
    assert warning.startswith("version 1:")


def test_no_more_than_a_few_broken_versions_are_named() -> None:
    files = [*((f"{version}/model.xml", 9) for version in range(1, 2000)), ("1999/model.bin", 9)]
    assert len(warnings("openvino_ir", "models/m", *files)) == 5


@pytest.mark.parametrize(
    ("format_name", "name"),
    [("onnx", "model.onnx"), ("tensorflow", "saved_model.pb"), ("tflite", "m.tflite")],
)
def test_other_formats_need_their_file_and_may_lie_anywhere(format_name: str, name: str) -> None:
    assert judge_layout(format_name, "models/m", [(f"1/{name}", 9)], single=False) == ((), ())
    [warning] = warnings(format_name, "models/m", (name, 9))
    assert "no folder for a version" in warning
    assert failures(format_name, "models/m", ("readme.md", 9))
    assert failures(format_name, "models/m", (f"1/{name}", 0))
    assert not failures(format_name, f"models/{name}", (name, 9), single=True)
    assert failures(format_name, "models/x.txt", ("x.txt", 9), single=True)


def test_openvino_network_alone_cannot_be_served() -> None:
    assert failures("openvino_ir", "models/m/1/model.xml", ("model.xml", 9), single=True)


@pytest.mark.parametrize("format_name", ["", "pytorch", "vLLM"])
def test_other_formats_are_judged_by_their_empty_files_alone(format_name: str) -> None:
    assert not failures(format_name, "models/m", ("model.pt", 9), ("_SUCCESS", 0))
    assert failures(format_name, "models/m", ("model.safetensors", 0)) == ("model.safetensors is empty",)
