"""Closing the sending direction of a connection, while the peer may still send."""

import asyncio


def half_close(transport: asyncio.Transport) -> None:
    """Close the sending direction and keep reading, so that the peer's end is noticed.

    A TLS connection is closed as a whole, as it cannot be closed in one direction.
    """
    if transport.is_closing():
        return
    if not transport.can_write_eof():
        transport.close()
        return
    try:
        transport.write_eof()
    except OSError:  # the peer has closed the whole connection already
        transport.abort()
        return
    transport.resume_reading()
