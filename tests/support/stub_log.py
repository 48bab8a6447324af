"""A log that is in the state that a test wants, and takes no proposal."""

from dunena.persistence.log import LogFigures, LogFollower, LogState, LogStatus, Proposal


class StubLog:
    """A log of two nodes that answers, until a test says something else."""

    node = "a1"
    value_bytes_max = 1_000_000

    def __init__(self) -> None:
        self.status = LogStatus(
            LogState.READY, is_connected=True, is_writable=True, nodes=("a1", "b2")
        )
        self.figures = LogFigures()
        self.now = 0
        self.follower: LogFollower | None = None

    def start(self, follower: LogFollower) -> None:
        self.follower = follower

    def propose(self, proposal: Proposal) -> None:
        raise NotImplementedError

    def last_sign_of(self, node: str) -> int | None:
        return None

    def tell(self, channel: str, data: bytes) -> str | None:
        raise NotImplementedError

    def listen(self, channel: str, *, wanted: bool) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.follower = None
