"""The way of an action: request, approve, execute, follow, finish, supervise."""
