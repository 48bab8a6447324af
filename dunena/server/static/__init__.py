"""Static files: the test page, the browser client and the user's folder of pages."""
