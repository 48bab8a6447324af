"""`dunena new` writes a template's pages; `dunena.templates.catalogue` has the templates."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from dunena.cli.failure import fail
from dunena.cli.output import is_for_people, say_json, say_table
from dunena.desktop.terminal import say


def new(
    template: Annotated[
        str, Argument(metavar="TEMPLATE", help="Which one; without it they are listed.")
    ] = "",
    folder: Annotated[
        Path | None,
        Argument(metavar="DIR", file_okay=False, help="The folder of pages. Default: www"),
    ] = None,
    name: Annotated[
        str, Option(help="The name of the copy, for a second one of the same template.")
    ] = "",
    as_json: Annotated[bool, Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make an overlay with its panel from a template.

    A scoreboard, a lower third, a countdown, a poll, a buzzer or a ticker: plain pages that are
    yours to change. Nothing that exists is overwritten.

    Example: dunena new scoreboard
    """
    from dunena.desktop.folder import expected_pages
    from dunena.templates.catalogue import (
        BadNameError,
        UnknownTemplateError,
        read_template,
        read_templates,
        write_template,
    )

    if not template:
        found = read_templates()
        if is_for_people(as_json=as_json):
            say_table(["template", "what it is"], [[one.name, one.text] for one in found])
        else:
            say_json([{"name": one.name, "title": one.title, "text": one.text} for one in found])
        return
    pages = folder or expected_pages()
    try:
        made = write_template(template, pages, name)
    except (UnknownTemplateError, BadNameError, FileExistsError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{pages}: {error.strerror or error}")
    about = read_template(template)
    files = [about.panel, about.overlay, about.audience]
    paths = [f"/www/{made.name}/{file}" for file in files if file]
    if not is_for_people(as_json=as_json):
        say_json({"folder": str(made), "pages": paths})
        return
    whose = ("the panel, for you", "the overlay, for OBS", "for the audience's phones")
    wide = max(map(len, paths))
    lines = [f"  {path.ljust(wide)}  {who}" for path, who in zip(paths, whose, strict=False)]
    say(f"{made} is made. {_how_to_start(pages)}, and open\n" + "\n".join(lines))


def _how_to_start(pages: Path) -> str:
    """Return how a server shows that folder of pages."""
    import shlex

    from dunena.desktop.folder import is_served_by_itself

    if is_served_by_itself(pages):
        return "Start dunena"
    return f"Start `{shlex.join(['dunena', 'serve', '--www', str(pages)])}`"
