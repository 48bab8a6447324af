"""How the cost of an operation, memory and a start grow with what there is: curves, not points.

    python -m tests.bench.curves [--only CURVE...] [--at N...] [--rounds N] [--seconds S]
                                 [--contender NAME...] [--variant NAME=PYTHON...]
                                 [--executable NAME=PATH...] [--downloads]
                                 [--json FILE] [--pictures FOLDER]
    python -m tests.bench.curves --from-json FILE... [--json FILE] [--pictures FOLDER]
    python -m tests.bench.curves --list

Linux, two cores and a C compiler; servers, load and turns are those of `speed.py`. By itself it
measures this checkout and Bun. It prints a table for each picture; `--pictures docs/images` draws
those of docs/performance.md. `--from-json` measures nothing: it joins what several runs have kept
with `--json`, each of other curves or points or of more rounds of the same, and tells and draws it
again.
"""

import signal
import sys

from tests.bench.curvekit.command import main

if __name__ == "__main__":
    # Ended from outside it still stops its servers and removes their folders.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
