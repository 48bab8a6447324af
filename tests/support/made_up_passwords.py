"""Passwords for the files of a cluster, by the variables that they are given in."""

PASSWORDS = {
    "NATS_ROUTES_PASSWORD": "made-up-1",
    "NATS_ADMIN_PASSWORD": "made-up-2",
    "DUNENA_NATS_PASSWORD": "made-up-3",
    "DUNENA_READER_PASSWORD": "made-up-4",
    "DUNENA_OWNER_PASSWORD": "made-up-5",
}
