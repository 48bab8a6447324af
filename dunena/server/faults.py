"""Faults of ours that may cost one client its answer, and nobody else."""

from typing import Final

FAULTS: Final = (Exception, SystemExit)
"""`SystemExit` is what the loader of an executable (PyInstaller) raises where a module is imported
of which the file is gone; asyncio would end the server with it.
"""
