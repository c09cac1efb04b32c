"""The statuses of jobs, as Autosubmit names and numbers them."""

# The numbers of autosubmit.job.job_common.Status; a test compares them with the installed Autosubmit.
STATUS_BY_NUMBER: dict[int, str] = {
    -3: "SUSPENDED",
    -2: "UNKNOWN",
    -1: "FAILED",
    0: "WAITING",
    1: "READY",
    2: "SUBMITTED",
    3: "QUEUING",
    4: "RUNNING",
    5: "COMPLETED",
    6: "HELD",
    7: "PREPARED",
    8: "SKIPPED",
    9: "DELAYED",
}
STATUSES = tuple(STATUS_BY_NUMBER.values())

ACTIVE = ("SUBMITTED", "QUEUING", "RUNNING")
"""Of jobs that were sent to their platform and have not ended."""

DONE = ("COMPLETED", "SKIPPED")
"""Of jobs that let their children start: Autosubmit counts a skipped parent as done."""

RESET = ("WAITING", "READY", "PREPARED", "DELAYED")
"""Of jobs that were not sent, or not again since they were reset: no attempt is theirs."""

NOT_SENT = (*RESET, "HELD", "SUSPENDED")
"""Of jobs of which no attempt is going on or has ended."""
