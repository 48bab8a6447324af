"""The store: entries, revisions and expiry in memory. No I/O; time is passed in."""
