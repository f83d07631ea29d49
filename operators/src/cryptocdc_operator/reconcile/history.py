"""One pass over the loading of a feed's past: its Job, and how far it has come."""

from __future__ import annotations

from cryptocdc_core.planning.plan import Plan
from cryptocdc_operator.context import Operator, PostEvent
from cryptocdc_operator.resources.jobs import history_job, history_name
from cryptocdc_operator.resources.labels import Owner
from cryptocdc_operator.resources.programs import history
from cryptocdc_operator.resources.workloads import READ
from cryptocdc_operator.servers.port import Servers
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status.history import history_events, history_progress
from cryptocdc_operator.status.model import Status

KIND = "Job"


def apply_history(
    operator: Operator, owner: Owner, plan: Plan, servers: Servers, status: Status, post_event: PostEvent,
    *, ready: bool,
) -> None:  # fmt: skip
    """Make the Job once everything is `ready`, replace one with other inputs, remove one that is no longer wanted.

    Records in `status` how far it has come. Raises ServerError."""
    before = status.history
    spec, image = plan.feed.spec, operator.settings.history_image
    refusal = None
    if spec.loads_archive and image is None:
        refusal = f"{operator.settings.variable('history_image')} of the operator must be set to load the archive"
    job: Object | None = None
    # A feed that never had one is not asked about.
    if spec.loads_archive or (before is not None and before.phase is not None):
        job = _applied(operator, owner, plan, wanted=spec.loads_archive and refusal is None, ready=ready)
    status.history = history_progress(spec, servers.history(plan.names), job, refusal)
    for event in history_events(before, status.history):
        post_event(*event)


def _applied(operator: Operator, owner: Owner, plan: Plan, *, wanted: bool, ready: bool) -> Object | None:
    cluster, name = operator.cluster, history_name(owner.name)
    live = cluster.find(KIND, name)
    if not wanted:
        if live is not None:
            cluster.delete(KIND, name)
        return None
    made = history_job(history(plan.feed, operator.settings, operator.addresses), plan, operator.settings, owner)
    annotations = (live or {"metadata": {}})["metadata"].get("annotations") or {}
    if live is not None and annotations.get(READ) == made["metadata"]["annotations"][READ]:
        return live
    if live is not None:
        # The pods of a Job can't be changed. What they have loaded so far stays loaded.
        cluster.delete(KIND, name)
    return cluster.apply(made) if ready else None
