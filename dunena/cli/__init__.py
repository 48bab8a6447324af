"""The command line: the entry points that every start of the program calls.

`program` holds the Typer app; each command is a module of the package `commands`.
"""

import gc


def load() -> None:
    """Import what this start needs, which takes longer than most commands run.

    The imported objects live until the process ends. The garbage collector would scan them about a
    hundred times during the imports and again when the interpreter ends, and would free nothing:
    so it is off during the imports, and `gc.freeze` keeps it from scanning them later.
    """
    gc.disable()
    from dunena.cli import command_table, program

    command_table.import_command(program.first_word())
    gc.freeze()
    gc.enable()


def run() -> None:
    """Run the command that the command line names, with what `load` imported."""
    from dunena.cli import program

    program.run()


def main() -> None:
    """Run the program from `sys.argv`: the entry point of the package's script."""
    load()
    run()
