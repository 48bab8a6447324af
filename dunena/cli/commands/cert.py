"""`dunena cert` writes a certificate, made by `dunena.desktop.local_certificate`."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from dunena.cli.failure import fail
from dunena.desktop.terminal import say


def cert(
    folder: Annotated[
        Path, Argument(metavar="DIR", file_okay=False, help="Where the files are written.")
    ] = Path("tls"),
    name: Annotated[
        list[str] | None, Option(help="Another name or address of the server; may be repeated.")
    ] = None,
) -> None:
    """Make a certificate for TLS in the local network.

    For this machine's names and addresses, signed by an authority of your own, which the
    devices are told to trust once. Run it again when names change or time is up.

    Example: dunena cert tls --name show.example
    """
    import shlex

    from dunena.desktop.local_certificate import MissingPackageError, make
    from dunena.server.addresses import own_addresses

    try:
        made = make(folder, name or [], own_addresses("::"))
    except MissingPackageError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{folder}: {error.strerror or error}")
    except ValueError as error:
        fail(f"{folder}: {error}")
    start = ["dunena", "serve", "--host", "0.0.0.0"]
    start += ["--tls-cert", str(made.chain), "--tls-key", str(made.key)]
    say(
        f"{made.chain} and {made.key} are for\n"
        f"  {', '.join(made.names)}\n"
        f"until {made.not_after:%Y-%m-%d}. Start with\n"
        f"  {shlex.join(start)}\n"
        f"and let the devices trust {made.authority}: in the browser's or the system's settings,\n"
        'under certificates, as an authority ("root").\n'
        f"Keep {made.authority_key} to yourself: who has it can be any site for these devices."
    )
