"""The steps of a release, each a command that also runs on a developer's machine.

    python build/release.py --help

The workflow calls nothing else, so that what happens at a release is tested long before one. The
steps themselves are in releasekit/; those that need packages get an environment for them.
"""

import importlib.util
import sys

from devkit.console import clean_environ, hand_over
from devkit.environment import RELEASE, RELEASING

NEED_PACKAGES = ("contents", "glibc", "licenses", "rehearse", "sbom")

if __name__ == "__main__":
    is_ready = all(map(importlib.util.find_spec, ("elftools", "piplicenses_lib", "cyclonedx")))
    if sys.argv[1:2] and sys.argv[1] in NEED_PACKAGES and not is_ready:
        python = RELEASING.prepare(RELEASE)
        sys.exit(hand_over([python, __file__, *sys.argv[1:]], clean_environ()))

    from releasekit.commands import main

    sys.exit(main(sys.argv[1:]))
