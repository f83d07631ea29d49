"""How far a feed's past is loaded, from what was observed. Pure."""

from __future__ import annotations

from cryptocdc_adapters.postgres.history_files import Counts
from cryptocdc_core.feed.model import Spec
from cryptocdc_operator.settings import Object
from cryptocdc_operator.status.conditions import message
from cryptocdc_operator.status.model import HistoryPhase, HistoryProgress


def history_progress(spec: Spec, counts: Counts, job: Object | None, refusal: str | None) -> HistoryProgress | None:
    """Return how far a feed's past is loaded, None for a feed without one. `job`: the one that loads the archive;
    `refusal`: why there is none."""
    past_open = counts.past_open + counts.parts.get("planned", 0)
    past_filled = counts.past_filled + counts.parts.get("loaded", 0)
    if not spec.loads_archive:
        return HistoryProgress(past_open=past_open, past_filled=past_filled) if past_open or past_filled else None
    phase, why = _phase(counts, job, refusal)
    states = counts.files
    return HistoryProgress(
        since=spec.history.begin,
        phase=phase,
        message=message(why),
        files=sum(states.values()) - states.get("absent", 0),
        loaded=states.get("loaded", 0) + states.get("proven", 0),
        proven=states.get("proven", 0),
        quarantined=states.get("quarantined", 0),
        absent=states.get("absent", 0),
        rows=counts.rows,
        past_open=past_open,
        past_filled=past_filled,
    )


def _phase(counts: Counts, job: Object | None, refusal: str | None) -> tuple[HistoryPhase, str]:
    if refusal is not None:
        return "Failed", refusal
    if job is None:
        return "Waiting", "loading starts once tables, connector and consumers are ready"
    status, name = job.get("status") or {}, job["metadata"]["name"]
    for condition in status.get("conditions") or []:
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Failed":
            why = condition.get("message") or condition.get("reason") or "Kubernetes gives no reason"
            return "Failed", f"{why}: the log of Job {name} says more; once it is deleted, loading goes on"
        if condition.get("type") == "Complete":
            return _ended(counts, name)
    failed = status.get("failed") or 0
    return "Loading", f"Job {name} loads" + (f", attempt {failed + 1}" if failed else "")


def _ended(counts: Counts, job: str) -> tuple[HistoryPhase, str]:
    left = [f"{count} {state}" for state, count in sorted(counts.files.items()) if state not in ("proven", "absent")]
    if open_parts := counts.parts.get("planned", 0):
        left.append(f"{open_parts} not fetched over REST")
    if left:
        why = f"{', '.join(left)}: the table `history` has the reasons; once Job {job} is deleted, they are tried again"
        return "Incomplete", why
    if counts.past_open:
        return "Loading", f"Job {job} is done; producers still fetch {counts.past_open} parts of the past over REST"
    said = f"{counts.files.get('proven', 0)} files are proven equal in Cassandra, {counts.rows} rows"
    if fetched := counts.parts.get("loaded", 0):
        said += f"; {fetched} series of the days after them are fetched over REST"
    if counts.left_out:
        said += f"; {counts.left_out} series have days that are not loaded: the table `history` has the reasons"
    return "Loaded", said


def history_events(before: HistoryProgress | None, after: HistoryProgress | None) -> list[tuple[str, str, str]]:
    """Return kind, reason and message of the events to post about a change of `status.history`."""
    before, after = before or HistoryProgress(), after or HistoryProgress()
    found = []
    if (after.quarantined or 0) > (before.quarantined or 0):
        why = f"{after.quarantined} files of the archive are quarantined: the table `history` has the reasons"
        found.append(("Warning", "HistoryQuarantined", why))
    if after.phase != before.phase and after.phase in ("Loaded", "Incomplete", "Failed"):
        kind = "Normal" if after.phase == "Loaded" else "Warning"
        found.append((kind, f"History{after.phase}", after.message or ""))
    return found
