"""Figures, health and description of the server, as its HTTP interface reports them."""
