"""Templates: pages to begin with, such as a scoreboard and its panel, that users change."""
