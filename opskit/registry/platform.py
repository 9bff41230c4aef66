"""Where the platform keeps its registries, told by whichever of its resources a release has."""

from typing import Any, Final

from opskit.errors import DeniedError, NotFoundError
from opskit.kubernetes_api import KubernetesApi

_COMPONENTS: Final = "/apis/components.platform.opendatahub.io/v1alpha1"
_CLUSTERS: Final = "/apis/datasciencecluster.opendatahub.io"
_IN_CLUSTER: Final = ("components", "modelregistry", "registriesNamespace")
# The dashboard reads the cluster's status; the component's own resource came later, and AIHub takes its place.
_TOLD_BY: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (f"{_CLUSTERS}/v2/datascienceclusters", ("status", *_IN_CLUSTER)),
    (f"{_CLUSTERS}/v2/datascienceclusters", ("spec", *_IN_CLUSTER)),
    (f"{_CLUSTERS}/v1/datascienceclusters", ("status", *_IN_CLUSTER)),
    (f"{_CLUSTERS}/v1/datascienceclusters", ("spec", *_IN_CLUSTER)),
    (f"{_COMPONENTS}/modelregistries", ("spec", "registriesNamespace")),
    (f"{_COMPONENTS}/aihubs", ("spec", "instancesNamespace")),
)


def registries_namespace(api: KubernetesApi) -> str | None:
    """Return the namespace that the platform names; None where it names none, or may not be asked."""
    for path, fields in _TOLD_BY:
        try:
            found = api.list(path)
        except (NotFoundError, DeniedError):
            continue
        for resource in found:
            if named := _at(resource, fields):
                return named
    return None


def _at(resource: Any, fields: tuple[str, ...]) -> str | None:  # noqa: ANN401 - JSON
    for field in fields:
        resource = resource.get(field) if isinstance(resource, dict) else None
    return resource if isinstance(resource, str) and resource else None
