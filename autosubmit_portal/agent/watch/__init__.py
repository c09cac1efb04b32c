"""The request `watch`: a process of its own looks for what has changed in the store, and the portal reads that."""
