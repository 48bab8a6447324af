"""A client's end of a watch: the rule of docs/state.md, and what must hold of each update."""

from dataclasses import dataclass, field
from typing import Any


def update_in(message: Any) -> Any:
    """The update that a message of either dialect brings; None if it brings another thing."""
    if message.get("type") == "update":
        return message["data"]
    return message.get("update")


@dataclass
class WatchedState:
    """What a client knows of a watch; it takes one update after the other.

    An update that a watch must not get is an `AssertionError`.
    """

    values: dict[str, Any] = field(default_factory=dict)
    revs: dict[str, int] = field(default_factory=dict)
    epoch: str = ""
    rev: int = 0
    resets: int = 0
    entries: int = 0  # changes of all updates
    _told: dict[str, int] = field(default_factory=dict)  # in this epoch, also of what is gone
    _parts: list[Any] = field(default_factory=list)

    @property
    def since(self) -> dict[str, Any] | None:
        """The position to go on from; None before there is one."""
        return {"epoch": self.epoch, "rev": self.rev} if self.epoch else None

    def take(self, update: Any) -> bool:
        """Take an update; whether it is whole, so that the state is one that was stored."""
        self._parts.append(update)
        if update.get("more"):
            return False
        parts, self._parts = self._parts, []
        for part in parts:
            self._apply(part)
        return True

    def forget_parts(self) -> None:
        """The connection ended: the rest of an update does not come any more."""
        self._parts.clear()

    def _apply(self, part: Any) -> None:
        is_reset = part.get("reset", False)
        if part["epoch"] != self.epoch:
            assert is_reset, f"another epoch without a reset: {part}"
            self.epoch = part["epoch"]
            self._told.clear()
        else:
            assert part["rev"] >= self.rev, f"it was at {self.rev} already: {part}"
        self.rev = part["rev"]
        if is_reset:
            self.resets += 1
            self.values.clear()
            self.revs.clear()
        for change in part["changes"]:
            self._change(change, is_reset=is_reset)

    def _change(self, change: Any, *, is_reset: bool) -> None:
        key, rev = change["key"], change["rev"]
        told = self._told.get(key, 0)
        assert rev <= self.rev, f"it is newer than its update, which is at {self.rev}: {change}"
        assert rev >= told if is_reset else rev > told, f"{told} was told already: {change}"
        assert key not in self.values or not is_reset, f"told twice: {change}"
        self.entries += 1
        self._told[key] = rev
        if "event" in change:
            assert "value" not in change, change
            assert not is_reset, f"a reset tells what there is: {change}"
            self.values.pop(key, None)
            self.revs.pop(key, None)
        else:
            self.values[key], self.revs[key] = change["value"], rev
