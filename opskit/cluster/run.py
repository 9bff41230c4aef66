"""A job started by hand: a Job made from its CronJob, followed to its end."""

import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from opskit.errors import NotFoundError, OpskitError, RefusedError, UnavailableError, advise
from opskit.kubernetes_api import KubernetesApi, Resource

CONTAINER: Final = "opskit"
# What is for the schedule alone: whoever starts a backup wants one of now, to move or to upgrade the registry.
_OF_THE_SCHEDULE: Final = ("--skip-recent",)
_LOOK_SECONDS = 1.0
# An API server that is replaced is away for a minute or two.
PATIENCE_SECONDS: Final = 300.0


def start(api: KubernetesApi, namespace: str, job: str, arguments: Sequence[str] = ()) -> Resource:
    """Make a Job from the CronJob of a job, with more arguments, and return it.

    The CronJob owns it, so that its success counts as one of the schedule's. A backup is made
    however young the newest is.
    """
    try:
        cronjob = api.get(f"/apis/batch/v1/namespaces/{namespace}/cronjobs/opskit-{job}")
    except NotFoundError as error:
        raise NotFoundError(
            f"there is no CronJob opskit-{job} in {namespace}", hint="opskit cluster install makes it"
        ) from error
    template = cronjob["spec"]["jobTemplate"]
    [container] = [each for each in template["spec"]["template"]["spec"]["containers"] if each["name"] == CONTAINER]
    container["args"] = [*(each for each in container["args"] if each not in _OF_THE_SCHEDULE), *arguments]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cronjob["metadata"]["name"],
        "uid": cronjob["metadata"]["uid"],
        "controller": True,
    }
    metadata = template.get("metadata", {})
    name = f"opskit-{job}-manual-{secrets.token_hex(3)}"
    return api.create(
        f"/apis/batch/v1/namespaces/{namespace}/jobs",
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "labels": metadata.get("labels", {}),
                "annotations": metadata.get("annotations", {}) | {"cronjob.kubernetes.io/instantiate": "manual"},
                "ownerReferences": [owner],
            },
            "spec": template["spec"],
        },
    )


def follow(
    api: KubernetesApi,
    job: Resource,
    write: Callable[[str], None],
    say: Callable[[str], None],
    *,
    patience_seconds: float = PATIENCE_SECONDS,
) -> int:
    """Write the log of a Job's pods as it comes, until the Job ends; return the exit code of its last pod.

    Raises `RefusedError` if the Job was deleted, `UnavailableError` if it was ended without an exit code (its
    deadline, a lost node), or if the API server cannot be reached for so long: the Job may go on then.
    """
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    followed: set[str] = set()
    code = lost = None
    while True:
        try:
            found = _job(api, namespace, name)
            _write_logs(api, _pods(api, namespace, name), followed, write, say)
            codes = [each for pod in _pods(api, namespace, name) if (each := _exit_code(pod)) is not None]
            code, lost = codes[-1] if codes else code, None
        except UnavailableError as error:
            lost = lost or time.monotonic()
            if time.monotonic() - lost >= patience_seconds:
                advise(error, f"the Job {name} may go on: look at it before you start another")
                raise
            say(f"{error}; the Job {name} goes on")
            found = {}
        ended = {
            each["type"]: each for each in found.get("status", {}).get("conditions", ()) if each["status"] == "True"
        }
        if "Complete" in ended:
            return 0
        if "Failed" in ended:
            if code:
                return code
            raise UnavailableError(
                f"the Job {name} failed: {ended['Failed'].get('message', ended['Failed']['reason'])}"
            )
        time.sleep(_LOOK_SECONDS)


def _job(api: KubernetesApi, namespace: str, name: str) -> Resource:
    try:
        return api.get(f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}")
    except NotFoundError as error:
        raise RefusedError(f"the Job {name} was deleted") from error


def _pods(api: KubernetesApi, namespace: str, job: str) -> list[Resource]:
    found = api.list(f"/api/v1/namespaces/{namespace}/pods", label_selector=f"batch.kubernetes.io/job-name={job}")
    return sorted(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))


def _state(pod: Resource) -> dict[str, Any]:
    """Return the state of opskit's container, empty before the kubelet has told it."""
    statuses = pod.get("status", {}).get("containerStatuses", ())
    return next((each["state"] for each in statuses if each["name"] == CONTAINER), {})


def _has_started(pod: Resource) -> bool:
    return not _state(pod).keys().isdisjoint({"running", "terminated"})


def _exit_code(pod: Resource) -> int | None:
    code: int | None = _state(pod).get("terminated", {}).get("exitCode")
    return code


def _write_logs(
    api: KubernetesApi,
    pods: Sequence[Resource],
    followed: set[str],
    write: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    """Write the log of each pod that has started and is not among those followed, which it then is."""
    for pod in pods:
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        if name in followed or not _has_started(pod):
            continue
        followed.add(name)
        try:
            for line in api.log(namespace, name, CONTAINER):
                write(line)
        except OpskitError as error:
            # The log is a convenience: what counts is how the Job ends.
            say(f"the log of {name} cannot be read: {error}")
