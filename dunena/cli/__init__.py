"""The command line: what every start of the program goes through.

`program` is the Typer app, and each of its commands is a file here.
"""

import gc


def load() -> None:
    """Import what this start needs, which takes longer than most commands run.

    All of that lives until the end. A collection meanwhile would look through it for nothing, a
    hundred times, and one more time when the interpreter ends; so there is none, here and there.
    """
    gc.disable()
    from dunena.cli import command_table, program

    command_table.import_command(program.first_word())
    gc.freeze()
    gc.enable()


def run() -> None:
    """Do what the command line says."""
    from dunena.cli import program

    program.run()


def main() -> None:
    """The program."""
    load()
    run()
