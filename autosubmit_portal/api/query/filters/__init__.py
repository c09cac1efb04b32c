"""From query parameters to rows: which are meant, and in which order."""
