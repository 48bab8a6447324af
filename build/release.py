"""The steps of a release, each a command that also runs on a developer's machine.

    python build/release.py --help

The workflow calls nothing else, so that what happens at a release is tested long before one. The
steps themselves are in releasekit/; those that need packages get an environment for them.
"""

import sys

from devkit.console import clean_environ, hand_over
from devkit.environment import RELEASE, RELEASING

if __name__ == "__main__":
    tools = {"glibc", "licenses"}
    if tools.intersection(sys.argv[1:2]) and sys.prefix != str(RELEASING.folder):
        python = RELEASING.prepare(RELEASE)
        sys.exit(hand_over([python, __file__, *sys.argv[1:]], clean_environ()))

    from releasekit.commands import main

    sys.exit(main(sys.argv[1:]))
