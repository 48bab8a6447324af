"""The store: entries, revisions and expiry in memory. No I/O; callers pass the time in."""
