"""The rows of Type and TypeProperty that a Model Registry starts with."""

import random
from typing import Literal, NamedTuple

Flavour = Literal["mlmd", "embedmd"]

EXECUTION, ARTIFACT, CONTEXT = 0, 1, 2
INT, STRING, STRUCT = 1, 3, 4

# MLMD's own, in the order in which its library inserts them: ids 1 to 9.
MLMD_TYPES = {
    "mlmd.Dataset": ARTIFACT,
    "mlmd.Model": ARTIFACT,
    "mlmd.Metrics": ARTIFACT,
    "mlmd.Statistics": ARTIFACT,
    "mlmd.Train": EXECUTION,
    "mlmd.Transform": EXECUTION,
    "mlmd.Process": EXECUTION,
    "mlmd.Evaluate": EXECUTION,
    "mlmd.Deploy": EXECUTION,
}

_MODEL = {
    "description": STRING,
    "owner": STRING,
    "state": STRING,
    "language": STRUCT,
    "tasks": STRUCT,
    "library_name": STRING,
    "license": STRING,
    "license_link": STRING,
    "logo": STRING,
    "maturity": STRING,
    "provider": STRING,
    "readme": STRING,
}
_MODEL_ARTIFACT = {
    "description": STRING,
    "model_format_name": STRING,
    "model_format_version": STRING,
    "storage_key": STRING,
    "storage_path": STRING,
    "service_account_name": STRING,
    "model_source_kind": STRING,
    "model_source_class": STRING,
    "model_source_group": STRING,
    "model_source_id": STRING,
    "model_source_name": STRING,
}
_INFERENCE_SERVICE = {
    "description": STRING,
    "model_version_id": INT,
    "registered_model_id": INT,
    "serving_environment_id": INT,
    "runtime": STRING,
    "desired_state": STRING,
}
_VERSION: dict[Flavour, dict[str, int]] = {
    "mlmd": {"description": STRING, "author": STRING, "state": STRING, "version": STRING, "model_name": STRING},
    "embedmd": {
        "description": STRING,
        "author": STRING,
        "state": STRING,
        "version": STRING,
        "registered_model_id": INT,
    },
}
_DESCRIBED = {"description": STRING}


class Type(NamedTuple):
    """A row of Type, with its rows of TypeProperty."""

    id: int
    name: str
    kind: int
    properties: dict[str, int]


def _own_types(flavour: Flavour) -> dict[str, tuple[int, dict[str, int]]]:
    types = {
        "kf.RegisteredModel": (CONTEXT, _MODEL),
        "kf.ModelVersion": (CONTEXT, _VERSION[flavour]),
        "kf.ModelArtifact": (ARTIFACT, _MODEL_ARTIFACT),
        "kf.DocArtifact": (ARTIFACT, _DESCRIBED),
        "kf.ServingEnvironment": (CONTEXT, _DESCRIBED),
        "kf.InferenceService": (CONTEXT, _INFERENCE_SERVICE),
        "kf.ServeModel": (EXECUTION, {"description": STRING, "model_version_id": INT}),
    }
    if flavour == "embedmd":
        types |= {
            "kf.Experiment": (CONTEXT, {"description": STRING, "owner": STRING, "state": STRING}),
            "kf.ExperimentRun": (CONTEXT, {"description": STRING, "owner": STRING, "state": STRING}),
            "kf.DataSet": (ARTIFACT, _DESCRIBED),
            "kf.Metric": (ARTIFACT, _DESCRIBED),
            "kf.Parameter": (ARTIFACT, _DESCRIBED),
            "kf.MetricHistory": (ARTIFACT, _DESCRIBED),
        }
    return types


def types(flavour: Flavour, seed: int) -> list[Type]:
    """Return the types; EmbedMD inserts its own in the order of a Go map, which is any order."""
    own = list(_own_types(flavour).items())
    if flavour == "embedmd":
        random.Random(seed).shuffle(own)
    named = [*((name, kind, {}) for name, kind in MLMD_TYPES.items()), *((name, *rest) for name, rest in own)]
    return [Type(number, *each) for number, each in enumerate(named, start=1)]
