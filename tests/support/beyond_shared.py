"""What cannot hold on a store that several servers share: tests that fail there, with the reasons.

A name is that of a test function, whose parameters are all meant, or of a file.
"""

BEYOND_SHARED: dict[str, str] = {}

BEYOND_SHARED_FILES: dict[str, str] = {}
