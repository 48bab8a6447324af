"""Templates: pages to begin with, such as a scoreboard and its panel, that users change."""

OWN_PAGES = ".made-by-dunena"
"""A file in a folder of pages that dunena has made: the next start shows that folder again."""
