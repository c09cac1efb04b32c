"""Django's backend for PostgreSQL: kept connections are checked without a question, last words go with the COMMIT."""
