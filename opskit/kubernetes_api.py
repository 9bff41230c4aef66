"""The Kubernetes API: the one door to the library `kubernetes`, which finds the cluster and the credentials.

Objects are plain mappings, as JSON has them. The library's own classes are not used: they drop fields that they do not
know, and take long to import.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlencode

import kubernetes.client
import kubernetes.config
import urllib3

from opskit.errors import ConfigurationError, DeniedError, NotFoundError, OpskitError, RefusedError, UnavailableError

logger = logging.getLogger(__name__)

Resource = dict[str, Any]
REQUEST_SECONDS: Final = 30.0
PAGE: Final = 500
_ERRORS: Final[dict[int, type[OpskitError]]] = {
    400: ConfigurationError,
    401: DeniedError,
    403: DeniedError,
    404: NotFoundError,
    409: RefusedError,
    422: ConfigurationError,
}


class KubernetesApi:
    """A cluster, as the credentials at hand may see it. Paths are those of the API: `/api/v1/namespaces/…`.

    Every call raises `NotFoundError`, `DeniedError`, `RefusedError` (a conflict), `ConfigurationError` (the object is
    not valid) or `UnavailableError`.
    """

    def __init__(self, client: Any, namespace: str) -> None:  # noqa: ANN401 - the library has no types
        self._client = client
        self.namespace = namespace

    def get(self, path: str) -> Resource:
        """Return one object."""
        return self._json("GET", path)

    def exists(self, path: str) -> bool:
        """Tell whether an object is there, without asking for more than its metadata."""
        try:
            with self._response("GET", path, {}, accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"):
                return True
        except NotFoundError:
            return False

    def list(self, path: str, *, label_selector: str = "") -> list[Resource]:
        """Return every object of a kind, all pages of it; kind and apiVersion are filled in."""
        found: list[Resource] = []
        query = {"limit": str(PAGE)} | ({"labelSelector": label_selector} if label_selector else {})
        while True:
            page = self._json("GET", path, query)
            kind = {"apiVersion": page["apiVersion"], "kind": page["kind"].removesuffix("List")}
            found += [kind | each for each in page["items"]]
            more = page["metadata"].get("continue")
            if not more:
                return found
            query["continue"] = more

    def create(self, path: str, resource: Resource) -> Resource:
        """Make an object; one of its name that is there is a conflict."""
        return self._json("POST", path, {"fieldValidation": "Strict"}, resource)

    def merge(self, path: str, changes: Mapping[str, object]) -> Resource:
        """Change some fields of an object (JSON merge patch)."""
        return self._json("PATCH", path, {}, changes, "application/merge-patch+json")

    def apply(self, path: str, resource: Resource, *, manager: str, dry_run: bool = False) -> Resource:
        """Bring an object about by server-side apply; a field that somebody else owns is a conflict, never forced."""
        query = {"fieldManager": manager, "force": "false", "fieldValidation": "Strict"}
        if dry_run:
            query["dryRun"] = "All"
        return self._json("PATCH", path, query, resource, "application/apply-patch+yaml")

    def delete(self, path: str) -> None:
        """Delete an object and, in the background, what belongs to it."""
        self._json("DELETE", path, {"propagationPolicy": "Background"})

    def log(self, namespace: str, pod: str, container: str) -> Iterator[str]:
        """Yield the lines of a container's log until it ends."""
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        query = {"container": container, "follow": "true"}
        with self._response("GET", path, query, stream=True) as response, _translated(path):
            rest = b""
            for block in response.stream(amt=None):
                *lines, rest = (rest + block).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
            if rest:
                yield rest.decode(errors="replace")

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Resource:
        with self._response(method, path, query or {}, body, content_type) as response:
            found: Resource = json.loads(response.data)
        return found

    @contextmanager
    def _response(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: object = None,
        content_type: str = "application/json",
        *,
        accept: str = "application/json",
        stream: bool = False,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        configuration = self._client.configuration
        # Asked for each time: tokens are rotated.
        headers = {each["key"]: each["value"] for each in configuration.auth_settings().values()}
        headers |= {"Content-Type": content_type, "Accept": accept}
        url = f"{configuration.host.rstrip('/')}{path}" + (f"?{urlencode(query)}" if query else "")
        with _translated(path):
            response: urllib3.BaseHTTPResponse = self._client.rest_client.pool_manager.request(
                method,
                url,
                headers=headers,
                body=None if body is None else json.dumps(body).encode(),
                # A log is silent for as long as its job has nothing to say; the job has a deadline.
                timeout=urllib3.Timeout(connect=REQUEST_SECONDS, read=None if stream else REQUEST_SECONDS),
                preload_content=not stream,
                retries=False,
            )
        try:
            _raise_for(response, method, path)
            for each in response.headers.getlist("Warning"):
                logger.warning("the API server says: %s", each)
            yield response
        finally:
            response.close()


def connect(context: str | None = None) -> KubernetesApi:
    """Find the cluster: the pod's own, else the kubeconfig's (`KUBECONFIG`, `~/.kube/config`) with this context.

    Raises `ConfigurationError` where there is neither.
    """
    configuration = kubernetes.client.Configuration()
    try:
        if context is None and "KUBERNETES_SERVICE_HOST" in os.environ and "KUBECONFIG" not in os.environ:
            kubernetes.config.load_incluster_config(client_configuration=configuration)
            namespace = _own_namespace()
        else:
            # The library looks at KUBECONFIG as it is imported, and never again.
            file = os.environ.get("KUBECONFIG") or kubernetes.config.KUBE_CONFIG_DEFAULT_LOCATION
            kubernetes.config.load_kube_config(file, context=context, client_configuration=configuration)
            _, active = kubernetes.config.list_kube_config_contexts(file)
            namespace = active["context"].get("namespace", "default") if context is None else "default"
    except kubernetes.config.ConfigException as error:
        raise ConfigurationError(
            f"no cluster is configured: {error}",
            hint="in a pod: automountServiceAccountToken; elsewhere: a kubeconfig, as kubectl has it",
        ) from error
    return KubernetesApi(kubernetes.client.ApiClient(configuration), namespace)


def _own_namespace() -> str:
    with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as file:  # noqa: PTH123
        return file.read().strip()


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.SSLError as error:
        raise ConfigurationError(f"the API server's certificate cannot be verified: {error}") from error
    except urllib3.exceptions.HTTPError as error:
        raise UnavailableError(f"the Kubernetes API cannot be reached for {path}: {error}") from error


def _raise_for(response: urllib3.BaseHTTPResponse, method: str, path: str) -> None:
    if response.status < 400:  # noqa: PLR2004 - HTTP: from 400 on it is an error
        return
    try:
        message = json.loads(response.data)["message"]
    except (ValueError, KeyError, TypeError):
        message = f"{method} {path} was answered with {response.status}"
    raise _ERRORS.get(response.status, UnavailableError)(f"Kubernetes: {message}")
