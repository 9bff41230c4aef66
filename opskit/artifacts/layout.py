"""Whether what is there can be served: the folders that OpenVINO Model Server and KServe's runtimes expect.

A model is a folder with one folder for each version, named by a positive integer, and the highest is served
(docs.openvino.ai, "Preparing a Model Repository"). What is deployed is the path without the version.
"""

import re
from collections.abc import Callable, Sequence
from itertools import islice

Files = Sequence[tuple[str, int]]

# A folder may hold thousands of files, each as bad as the others.
_TOLD = 5
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_MODEL_SUFFIXES = (
    ".xml", ".bin", ".onnx", ".pdiparams", ".pdmodel", ".pb", ".tflite",
    ".pt", ".pth", ".safetensors", ".gguf", ".pkl", ".joblib", ".h5", ".keras", ".mar", ".engine", ".plan",
)  # fmt: skip


def _is_openvino(files: Files) -> str:
    sizes = dict(files)
    networks = [name for name in sizes if name.endswith(".xml") and "/" not in name]
    if not networks:
        return "no .xml"
    for name in networks:
        weights = name.removesuffix(".xml") + ".bin"
        if sizes[name] and sizes.get(weights):
            return ""
    weights = networks[0].removesuffix(".xml") + ".bin"
    return f"{networks[0]} has no {weights} with bytes in it" if not sizes.get(weights) else f"{networks[0]} is empty"


def _has(*suffixes: str) -> Callable[[Files], str]:
    def judge(files: Files) -> str:
        for suffix in suffixes:
            if not any(name.endswith(suffix) and size for name, size in files):
                return f"no {suffix} with bytes in it"
        return ""

    return judge


# By the name that model_format_name has, without case and punctuation.
_FORMATS: dict[str, Callable[[Files], str]] = {
    "openvino": _is_openvino,
    "openvinoir": _is_openvino,
    "onnx": _has(".onnx"),
    "paddle": _has(".pdiparams", ".pdmodel"),
    "paddlepaddle": _has(".pdiparams", ".pdmodel"),
    "tensorflow": _has("saved_model.pb"),
    "savedmodel": _has("saved_model.pb"),
    "tflite": _has(".tflite"),
}


def judge_layout(format_name: str, path: str, files: Files, *, single: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what stops these files from being served, and what is unusual.

    `path` is the path that is registered, `files` names relative to it with their sizes; `single` if the path is that
    of one file.
    """
    failures = [f"{name} is empty" for name, size in files if size == 0 and name.lower().endswith(_MODEL_SUFFIXES)][
        :_TOLD
    ]
    judge = _FORMATS.get(re.sub(r"[^a-z0-9]", "", format_name.lower()))
    if judge is None:
        return tuple(failures), ()
    if single:
        problem = judge(files)
        return (*failures, *([f"one file, and {problem}"] if problem else [])), ()
    found_failures, warnings = _judge_folder(judge, path, files, format_name)
    return (*failures, *found_failures), tuple(warnings)


def _judge_folder(
    judge: Callable[[Files], str], path: str, files: Files, format_name: str
) -> tuple[list[str], list[str]]:
    versions = sorted(_versions(files), reverse=True)
    if versions:
        served, *others = versions
        problem = judge(_inside(files, served))
        failures = [f"version {served}, which is served: {problem}"] if problem else []
        warned = (f"version {each}: {why}" for each in others if (why := judge(_inside(files, each))))
        warnings = list(islice(warned, _TOLD))
        if _VERSION.fullmatch(path.rpartition("/")[2]):
            warnings.append("the path ends in a version, and holds versions itself")
        return failures, warnings
    last = path.rpartition("/")[2]
    if _VERSION.fullmatch(last) and not judge(files):
        return [], [f"the path ends in version {last}: deploy {path.rpartition('/')[0]}, the path without it"]
    if problem := judge([(name.rpartition("/")[2], size) for name, size in files]):
        return [problem], []
    missing = f"no folder for a version, such as {last or 'model'}/1/"
    return ([], [missing]) if _anywhere(format_name) else ([missing], [])


def _anywhere(format_name: str) -> bool:
    """Whether runtimes other than OpenVINO's take this format, from wherever it lies."""
    return "openvino" not in format_name.lower()


def _versions(files: Files) -> set[int]:
    first_segments = (name.partition("/") for name, _ in files)
    return {int(first) for first, slash, _ in first_segments if slash and _VERSION.fullmatch(first)}


def _inside(files: Files, version: int) -> Files:
    prefix = f"{version}/"
    return [(name.removeprefix(prefix), size) for name, size in files if name.startswith(prefix)]
