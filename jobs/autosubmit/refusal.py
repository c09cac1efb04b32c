"""What a job list is not read for."""


class Refused(Exception):
    """The bytes are not a job list that is read here; the text says why."""
