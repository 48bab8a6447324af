"""The text files of one server: their folder, the thread that writes, and what it follows."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dunena.dialects.services import Services
from dunena.server.text_files.follower import follow, standing, text_outbox, vanishing
from dunena.server.text_files.opening import open_folder
from dunena.server.text_files.selection import read_patterns
from dunena.server.text_files.writer import TextWriter
from dunena.server.tick import Tick
from dunena.telemetry import Telemetry


class TextFiles:
    """Text files in ``folder`` for the keys that ``patterns`` name (`selection`).

    ``cache_dir`` is the folder of the values, None for none; ``clock_ms`` the server's time.
    ``are_values_kept``: the server has them again after a restart. ``writer`` tells how the files
    are. Raises `TextFolderError` if the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        patterns: Sequence[str],
        cache_dir: Path | None,
        clock_ms: Callable[[], int],
        *,
        are_values_kept: bool,
    ) -> None:
        self._selectors = read_patterns(patterns)
        self._are_values_kept = are_values_kept
        opened, self._lock = open_folder(folder, cache_dir)
        self.writer = TextWriter(opened, clock_ms)
        self.has_begun = False

    def begin(self, services: Services, tick: Tick, telemetry: Telemetry) -> None:
        """Follow the keys and begin to write; all that the store has must be committed."""
        self.has_begun = True
        outbox = text_outbox(tick.schedule_flush, telemetry, self.writer.take)
        follow(services, self._selectors, outbox)
        self.writer.start(standing(services, self._selectors))

    def wait_for_first(self) -> None:
        """Wait until no file shows a key that is gone; for a thread of its own."""
        self.writer.wait_for_first()

    def show_end(self, services: Services) -> None:
        """Show of the keys that the store keeps nowhere that they are gone: the server stops."""
        if not self.has_begun:
            return
        kept = self._are_values_kept
        self.writer.lose(vanishing(services, self._selectors, are_values_kept=kept))

    def close(self) -> None:
        """Write what is left, and let go of the folder."""
        if self.has_begun:
            self.writer.close()
        self._lock.release()
