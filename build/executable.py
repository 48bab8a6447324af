"""The executable: one file that runs dunena on a machine without Python.

    python build/executable.py [all|linux|windows|macos-intel|macos-arm|linux-arm64]

What it does is in packkit/. As in dev.py: readable by an old Python, so that it can say so.
"""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - the whole point of this file
        sys.exit(
            "executable: dunena needs Python 3.11 or newer, and this is %d.%d; "  # noqa: UP031
            "start this script with a newer one." % sys.version_info[:2]
        )

    from packkit.commands import main

    sys.exit(main(sys.argv[1:]))
