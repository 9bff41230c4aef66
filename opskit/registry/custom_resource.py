"""The custom resource ModelRegistry, as a backup keeps it and as it can be created again.

Fields: the operator's api/v1beta1/modelregistry_types.go.
"""

import json
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field

from opskit.settings.kinds import ObjectName

GROUP: Final = "modelregistry.opendatahub.io"
# RHOAI up to 2.21 serves v1alpha1 only; the fields of the database are the same.
VERSIONS: Final = ("v1beta1", "v1alpha1")


def _known_version(value: str) -> str:
    if value not in [f"{GROUP}/{version}" for version in VERSIONS]:
        raise ValueError(f"must be of {GROUP}, {' or '.join(VERSIONS)}")
    return value


def _finite(value: dict[str, Any]) -> dict[str, Any]:
    json.dumps(value, allow_nan=False)
    return value


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Metadata(_Part):
    """What of a resource's metadata is its own, and not the server's."""

    name: ObjectName
    namespace: ObjectName | None = None
    labels: Annotated[dict[str, str], FailFast()] = {}
    annotations: Annotated[dict[str, str], FailFast()] = {}


class ModelRegistry(_Part):
    """A ModelRegistry without its status; what else a document holds is left out."""

    api_version: Annotated[str, AfterValidator(_known_version), Field(alias="apiVersion")]
    kind: Literal["ModelRegistry"]
    metadata: Metadata
    spec: Annotated[dict[str, Any], AfterValidator(_finite)]
