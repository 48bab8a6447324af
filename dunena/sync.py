"""The Python client that blocks, for ``with dunena.sync.connect() as store``."""

from dunena.client.blocking import Feed, Store, Transaction, connect

__all__ = ["Feed", "Store", "Transaction", "connect"]
