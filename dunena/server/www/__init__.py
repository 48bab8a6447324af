"""A folder of one's own pages, served at `/www/`."""
