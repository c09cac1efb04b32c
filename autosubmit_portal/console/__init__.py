"""The console: the pages through which people operate the portal. `site` is the site that they belong to."""
