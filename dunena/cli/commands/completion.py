"""`dunena completion` prints the completion script of a shell, made by typer."""

from enum import StrEnum
from typing import Annotated

from typer import Argument

from dunena.cli.start import COMPLETION_VARIABLE
from dunena.desktop.terminal import say


class Shell(StrEnum):
    """The shells for which there is a completion script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def completion(
    shell: Annotated[
        Shell, Argument(metavar="SHELL", help="bash, zsh, fish or powershell.", show_default=False)
    ],
) -> None:
    """Print what makes a shell complete with the Tab key.

    Example: source <(dunena completion bash)
    """
    from typer._completion_shared import get_completion_script

    say(
        get_completion_script(
            prog_name="dunena", complete_var=COMPLETION_VARIABLE, shell=shell.value
        )
    )
