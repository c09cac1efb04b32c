"""What can go wrong between the two sides."""


class ProtocolError(ValueError):
    """The other side sent what it must not send; the text says which rule it broke."""


class Busy(Exception):
    """There are as many requests as the other side takes at once; ask again later."""
