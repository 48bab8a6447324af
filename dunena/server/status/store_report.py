"""What the reports of a server say about the store that it shares with others; no I/O."""

from dunena.persistence.log import (
    GROUP_OPS_MAX,
    PROPOSAL_BYTES_MAX,
    Log,
    LogFigures,
    LogState,
    LogStatus,
)

UNANSWERED_MS_MAX = 3 * 1000
"""How long the store may leave a node without an answer until the node says that it cannot store:
a new leader after a clean stop is chosen sooner, and a balancer should not notice that."""


class StoreReport:
    """Describes the log of a server."""

    __slots__ = ("_log",)

    def __init__(self, log: Log) -> None:
        self._log = log

    @property
    def status(self) -> LogStatus:
        """The present state."""
        return self._log.status

    @property
    def figures(self) -> LogFigures:
        """The counters."""
        return self._log.figures

    @property
    def failure(self) -> str | None:
        """Why changes cannot be stored at present; None if they can, or a moment without answer."""
        status = self._log.status
        if status.state is LogState.STARTING:
            reason = "the values are not loaded yet"
        elif status.stale_ms >= UNANSWERED_MS_MAX:
            reason = f"the store has not answered for {status.stale_ms // 1000} s"
        elif status.refusal is not None:
            return f"the store refuses changes: {status.refusal}"
        else:
            return None
        return f"{reason}: {status.reason}" if status.reason else reason

    def value_bytes_max(self, configured: int) -> int:
        """Return the most bytes of a value's JSON: ``configured``, or less if the store says so."""
        return min(configured, self._log.value_bytes_max or configured)

    def describe(self, bucket: str | None, revision: float) -> dict[str, object]:
        """Return the part of `/info`: which node this is, which others there are, and limits.

        ``bucket`` is the name at NATS, ``revision`` that of the latest change of this server.
        """
        status = self._log.status
        return {
            "kind": "nats",
            "bucket": bucket,
            "node": self._log.node,
            "nodes": list(status.nodes),
            "rev": revision,
            "behind": status.behind,
            "maxChanges": GROUP_OPS_MAX,
            "maxChangesBytes": PROPOSAL_BYTES_MAX,
        }

    def check(self) -> dict[str, object]:
        """Return the check of `/health`, but for its ``status``."""
        status = self._log.status
        check: dict[str, object] = {"connected": status.is_connected, "staleMs": status.stale_ms}
        reason = status.reason or status.refusal or status.warning
        if reason:
            check["reason"] = reason
        return check

    @property
    def is_well(self) -> bool:
        """Whether the store answers at present, and nothing endangers it."""
        status = self._log.status
        return status.state is LogState.READY and status.warning is None

    def count(self) -> dict[str, object]:
        """Return the part of `/stats`."""
        figures = self._log.figures
        mean_ms = figures.commit_ms_total / figures.commits if figures.commits else 0.0
        return {
            "batches": figures.batches,
            "changes": figures.changes,
            "retries": figures.retries,
            "conflicts": figures.conflicts,
            "gaps": figures.gaps,
            "fetchedEntries": figures.fetched_entries,
            "loads": figures.loads,
            "commits": figures.commits,
            "commitMs": round(mean_ms, 3),
        }
