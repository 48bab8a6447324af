"""The command line: the entry points that every start of the program calls.

`program` holds the Typer app; each command is a module of the package `commands`. A server that is
started as usual needs neither (`plain_serve`).
"""

import gc
import sys


def load() -> None:
    """Import what this start needs, which takes longer than most commands run.

    The imported objects live until the process ends. The garbage collector would scan them about a
    hundred times during the imports and again when the interpreter ends, and would free nothing:
    so it is off during the imports, and `gc.freeze` keeps it from scanning them later.
    """
    gc.disable()
    from dunena.cli import start

    if start.plain_serve() is not None:
        import dunena.cli.serving  # noqa: F401 - what `run` needs
    else:
        from dunena.cli import command_table, program  # noqa: F401 - as above

        command_table.import_command(next(iter(start.command_words()), ""))
    gc.freeze()
    gc.enable()


def run() -> None:
    """Run the command that the command line names, with what `load` imported.

    Exit with code 1 and one line, whatever the command's own code, if its output could not be
    written. That is no fault of a command whose reader went early.
    """
    try:
        _run_command()
    except OSError as error:
        # What typer prints itself, such as the help.
        if not _is_output_lost(error):
            raise
    except SystemExit:
        if not _is_output_lost():
            raise
    else:
        if not _is_output_lost():
            return
    from dunena.cli.failure import EXIT_FAILED

    sys.exit(EXIT_FAILED)


def _is_output_lost(failure: OSError | None = None) -> bool:
    """Return whether standard output could not be written, and say so."""
    from dunena.desktop.terminal import lost_output, say

    reason = lost_output(failure)
    if reason:
        say(f"dunena: standard output cannot be written: {reason}", error=True)
    return bool(reason)


def _run_command() -> None:
    from dunena.cli import start

    start.set_up_process()
    plain = start.plain_serve()
    try:
        if plain is not None and plain.serve(start.start_mode()):
            return
        from dunena.cli import program

        program.run()
    except KeyboardInterrupt:
        from dunena.cli.failure import EXIT_INTERRUPTED

        sys.exit(EXIT_INTERRUPTED)


def main() -> None:
    """Run the program from `sys.argv`: the entry point of the package's script."""
    load()
    run()
