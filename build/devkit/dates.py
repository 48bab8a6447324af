"""The time in everything that is built: of the sources, so that these give the same bytes."""

import subprocess
from collections.abc import Mapping

from devkit.console import CommandError
from devkit.requirements import ROOT

# 2026-01-01, for a copy of the sources that is no checkout.
_FALLBACK_TIME = 1_767_225_600


def source_time(environ: Mapping[str, str]) -> int:
    """The Unix time that stands in everything made: that of the last commit."""
    given = environ.get("SOURCE_DATE_EPOCH", "")
    if given:
        if not given.isdecimal():
            raise CommandError(f"SOURCE_DATE_EPOCH is no Unix time: {given}")
        return int(given)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return _FALLBACK_TIME
    return int(done.stdout) if done.returncode == 0 and done.stdout.strip() else _FALLBACK_TIME
