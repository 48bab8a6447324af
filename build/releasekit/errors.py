"""What ends a command."""


class ReleaseError(Exception):
    """The release cannot go on; the text is what a person sees, a line for each thing found."""
