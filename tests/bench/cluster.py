"""What a shared store costs, through whole servers, beside NATS alone and a folder.

    python -m tests.bench.cluster [--rounds N] [--seconds S] [--only ROWS...] [--keys N]
                                  [--servers N] [--nodes N] [--sync-interval always]
                                  [--variant NAME=PYTHON...] [--dunena NAME...]

Linux, two cores and a C compiler. Real `dunena serve` processes, three NATS servers and the load
run on this machine and its one disk, so times are to be compared with those beside them. The same
is done in turns, in another order in each round. It prints a table for docs/cluster.md.
"""

import signal
import sys

from tests.bench.clusterkit.command import main

if __name__ == "__main__":
    # Ended from outside it still stops its servers and removes their folders.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    sys.exit(main(sys.argv[1:]))
