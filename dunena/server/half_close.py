"""The end of what is sent, while the peer may still send."""

import asyncio


def half_close(transport: asyncio.Transport) -> None:
    """Send the end and read on, so that the peer's is seen; close where only that can be done.

    TLS knows no half-closed connection.
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
