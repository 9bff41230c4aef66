"""Write or read a registry through ml-metadata. Runs in the environment made by `sandbox.mlmd`."""

import json
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Any

# Not imported by statement: what checks this file does not have these packages.
json_format: Any = import_module("google.protobuf.json_format")
struct_pb2: Any = import_module("google.protobuf.struct_pb2")
metadata_store: Any = import_module("ml_metadata.metadata_store")
mlpb: Any = import_module("ml_metadata.proto.metadata_store_pb2")

STRING, INT, DOUBLE, STRUCT, BOOLEAN = mlpb.STRING, mlpb.INT, mlpb.DOUBLE, mlpb.STRUCT, mlpb.BOOLEAN

MODEL = {"description": STRING, "owner": STRING, "state": STRING, "language": STRUCT, "readme": STRING}
VERSION = {"description": STRING, "author": STRING, "state": STRING, "version": STRING, "model_name": STRING}
ARTIFACT = {
    "description": STRING,
    "model_format_name": STRING,
    "model_format_version": STRING,
    "storage_key": STRING,
    "storage_path": STRING,
    "service_account_name": STRING,
}


def value(given: object) -> Any:  # noqa: ANN401 (a protocol message)
    """Return a property value of the type that fits."""
    if isinstance(given, bool):
        return mlpb.Value(bool_value=given)
    if isinstance(given, int):
        return mlpb.Value(int_value=given)
    if isinstance(given, float):
        return mlpb.Value(double_value=given)
    if isinstance(given, str):
        return mlpb.Value(string_value=given)
    struct = struct_pb2.Struct()
    struct.update(given)
    return mlpb.Value(struct_value=struct)


def values(**given: object) -> dict[str, Any]:
    """Return property values by name."""
    return {name: value(each) for name, each in given.items()}


def write(store: Any, model_name: str) -> None:  # noqa: ANN401 (untyped library)
    """Write two versions of a model, their artifacts, and a deployment with its events."""
    model_type = store.put_context_type(mlpb.ContextType(name="kf.RegisteredModel", properties=MODEL))
    version_type = store.put_context_type(mlpb.ContextType(name="kf.ModelVersion", properties=VERSION))
    artifact_type = store.put_artifact_type(mlpb.ArtifactType(name="kf.ModelArtifact", properties=ARTIFACT))
    serve_type = store.put_execution_type(
        mlpb.ExecutionType(name="kf.ServeModel", properties={"description": STRING, "model_version_id": INT})
    )
    (model,) = store.put_contexts(
        [
            mlpb.Context(
                type_id=model_type,
                name=model_name,
                external_id="registered-é",
                properties=values(
                    description="é and 模型 and 🚀", owner="", state="LIVE", language={"all": ["fr", "中文"]}
                ),
                custom_properties=values(accuracy=0.1, tiny=5e-324, zero=-0.0, count=-7, yes=True, no=False),
            )
        ]
    )
    for number in (1, 2):
        (version,) = store.put_contexts(
            [
                mlpb.Context(
                    type_id=version_type,
                    name=f"{model}:v{number}",
                    properties=values(
                        author="Ren\u00e9", state=("LIVE", "ARCHIVED")[number - 1], model_name=model_name
                    ),
                )
            ]
        )
        store.put_parent_contexts([mlpb.ParentContext(child_id=version, parent_id=model)])
        (artifact,) = store.put_artifacts(
            [
                mlpb.Artifact(
                    type_id=artifact_type,
                    name=f"{version}:{model_name}",
                    uri=f"s3://models/{model_name}/v{number}?endpoint=https://s3.example.com&defaultRegion=us-east-1",
                    state=(mlpb.Artifact.UNKNOWN, mlpb.Artifact.LIVE)[number - 1],
                    properties=values(model_format_name="onnx", storage_key="quote ' and \\ and \n line"),
                    custom_properties=values(nested={"a": {"b": [1, 2.5, None, "é"]}}),
                )
            ]
        )
        (execution,) = store.put_executions(
            [
                mlpb.Execution(
                    type_id=serve_type, name=f"deployment-{number}", properties=values(model_version_id=version)
                )
            ]
        )
        store.put_attributions_and_associations(
            [mlpb.Attribution(artifact_id=artifact, context_id=version)],
            [mlpb.Association(execution_id=execution, context_id=version)],
        )
        path = mlpb.Event.Path(steps=[mlpb.Event.Path.Step(index=number), mlpb.Event.Path.Step(key="clé")])
        store.put_events(
            [
                mlpb.Event(
                    artifact_id=artifact,
                    execution_id=execution,
                    type=mlpb.Event.INPUT,
                    path=path,
                    milliseconds_since_epoch=1700000000000 + number,
                )
            ]
        )


def plain(messages: Iterable[Any]) -> list[Any]:
    """Return protocol messages as JSON values, in a fixed order."""
    return sorted(
        (json_format.MessageToDict(each) for each in messages), key=lambda each: json.dumps(each, sort_keys=True)
    )


def read(store: Any) -> dict[str, Any]:  # noqa: ANN401 (untyped library)
    """Return all that the library gives back."""
    contexts, artifacts, executions = store.get_contexts(), store.get_artifacts(), store.get_executions()
    return {
        "context_types": plain(store.get_context_types()),
        "artifact_types": plain(store.get_artifact_types()),
        "execution_types": plain(store.get_execution_types()),
        "contexts": plain(contexts),
        "artifacts": plain(artifacts),
        "executions": plain(executions),
        "events": plain(store.get_events_by_artifact_ids([each.id for each in artifacts])),
        "parents": {each.id: plain(store.get_parent_contexts_by_context(each.id)) for each in contexts},
        "attributions": {each.id: plain(store.get_artifacts_by_context(each.id)) for each in contexts},
        "associations": {each.id: plain(store.get_executions_by_context(each.id)) for each in contexts},
    }


def main() -> None:
    """Do what standard input asks for, and answer on standard output."""
    request = json.load(sys.stdin)
    config = mlpb.ConnectionConfig()
    for name, setting in request["connection"].items():
        setattr(config.mysql, name, setting)
    store = metadata_store.MetadataStore(config, enable_upgrade_migration=True)
    if request["action"] == "write":
        write(store, request["model_name"])
        json.dump(None, sys.stdout)
    else:
        json.dump(read(store), sys.stdout)


main()
