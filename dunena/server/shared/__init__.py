"""A server whose values are in a log that it shares with other servers ("nodes").

The log decides, and memory follows. A request that may change something is *parked*: it runs
against a store that records what it would change (`planning`), and this *plan* is proposed to the
log. What the log has stored comes back at every node in one order, and is made then (`store`). Here
the request runs again at that place (the *replay*), so that its answer speaks of that moment.
"""
