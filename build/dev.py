"""The newcomer's two commands, from nothing but a Python and a checkout.

    python3 build/dev.py serve [arguments of "dunena serve"]
    python3 build/dev.py test  [arguments of pytest]

What they do is in devkit/, which needs a recent Python. This file must also be readable by an old
one, so that the answer there is a sentence and not a traceback: no annotations, no new syntax.
"""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 - the whole point of this file
        sys.exit(
            "dev: dunena needs Python 3.11 or newer, and this is %d.%d; "  # noqa: UP031
            "start this script with a newer one." % sys.version_info[:2]
        )

    from devkit.commands import main

    sys.exit(main(sys.argv[1:]))
