"""The way of an action: request, execute, follow, finish, supervise."""
