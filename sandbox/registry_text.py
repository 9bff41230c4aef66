"""What people write into a registry, and what the two flavours make of it."""

from sandbox.registry_types import Flavour

MODEL_NAMES = (
    "distance-prediction",
    "fraud detection",
    "mnist é",
    "模型",
    "прогноз спроса",
    "naïve: with a colon",
    "shelf 🚀 classifier",
    'it\'s "quoted" \\ and %s',
)
DESCRIPTIONS = (
    "",
    "Predicts distances.",
    "Entraîné à l'été, déployé à Noël.",
    "用于生产的模型。",
    "two lines\nand a tab\there",
    "NULL",
    "🚀🚀 — €5 “quoted”",
    "a backslash \\ and 'quotes' and a semicolon; -- no comment",
)
OWNERS = ("ada", "rené", "Åsa", "山田", "ops@example.com")
FORMATS = ("onnx", "openvino_ir", "pytorch", "sklearn", "vLLM")
FORMAT_VERSIONS = ("1", "2.0", "13", "")
# google.protobuf.Struct, serialised: {"all": ["fr", "中文"]}, {"a": {"b": [1, 2.5, null, "é"]}}, {}.
STRUCTS = (
    "mlmd-struct::ChkKA2FsbBISMhAKBBoCZnIKCBoG5Lit5paH",
    "mlmd-struct::CjAKAWESKyopCicKAWISIjIgCgkRAAAAAAAA8D8KCREAAAAAAAAEQAoCCAAKBBoCw6k=",
    "mlmd-struct::",
)


def as_stored(text: str, flavour: Flavour) -> str:
    """Return what a utf8mb4 client finds in the database for a text that the registry was given.

    MLMD's client calls its UTF-8 latin1, so every byte is stored as a character of its own. MySQL's latin1 is
    cp1252, with the five bytes that it lacks standing for themselves.
    """
    if flavour == "embedmd":
        return text
    return "".join(bytes([each]).decode("cp1252", "replace").replace("\ufffd", chr(each)) for each in text.encode())
