"""Files the server gives: the page, the client, a folder of the user's."""
