"""When will it end: jobs and who waits for whom go in, an expected end with its range comes out. Knows no Django."""
