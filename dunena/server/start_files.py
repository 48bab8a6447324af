"""What a start opens of the files that settings name; all raise `StartError`."""

from typing import TYPE_CHECKING

from dunena.persistence.opening import private_folder
from dunena.server.access.tokens import Tokens, TokensError
from dunena.server.certificate import Certificate
from dunena.server.start_errors import StartError
from dunena.settings import Settings

if TYPE_CHECKING:
    from dunena.server.clock import Clock
    from dunena.server.text_files.text_files import TextFiles


def load_certificate(settings: Settings) -> Certificate | None:
    """Load the certificate; None without one."""
    chain, key = settings.tls_cert, settings.tls_key
    if chain is None:
        return None
    try:
        return Certificate(chain, key)
    except OSError as error:
        raise StartError(f"cannot use the certificate {chain}: {error}") from error


def load_tokens(settings: Settings) -> Tokens:
    """Load the tokens that clients may have."""
    try:
        return Tokens(settings.token, settings.tokens)
    except TokensError as error:
        raise StartError(str(error)) from error


def make_or_read_get_secret(settings: Settings) -> str:
    """Read the secret of GET writes from the private folder, or make it there."""
    from dunena.server.access.get_secret import make_or_read_secret  # most servers have none

    try:
        return make_or_read_secret(private_folder(settings.cache_dir))
    except OSError as error:
        raise StartError(f"the secret of GET writes cannot be kept: {error}") from error


def open_text_files(settings: Settings, clock: "Clock") -> "TextFiles | None":
    """Open the folder of text files; None if there is to be none."""
    if settings.text_dir is None:
        return None
    from dunena.server.text_files.opening import TextFolderError
    from dunena.server.text_files.text_files import TextFiles

    try:
        return TextFiles(
            settings.text_dir,
            settings.text_keys,
            settings.cache_dir,
            clock,
            are_values_kept=not settings.no_persist,
        )
    except TextFolderError as error:
        raise StartError(str(error)) from error
