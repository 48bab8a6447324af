"""The steps of a release, each a command that also runs on a developer's machine.

    python build/release.py --help

The workflow calls nothing else, so that what happens at a release is tested long before one. The
steps themselves are in releasekit/; they need Python's standard library and nothing more.
"""

import sys

from releasekit.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
