"""The attempts at the jobs of an experiment, as its history has them, read by the agent of its site."""

from autosubmit_portal.agent.protocol import ProtocolError
from experiments import reads
from experiments.models import Experiment
from jobs.autosubmit.history import MOST_PAST_ATTEMPTS, PastAttempt, UnreadableHistory
from jobs.autosubmit.records import list_columns


def read_past_attempts(experiment: Experiment) -> list[PastAttempt]:
    """Return the attempts, the oldest first, of very many the newest. Raises UnreadableHistory and BrokenStore."""
    try:
        rows = reads.read_document(experiment, "attempts", {}).get("attempts")
    except (reads.Missing, reads.Unreadable) as error:
        raise UnreadableHistory(str(error)) from error
    with reads.understand(experiment.site):
        if not isinstance(rows, list) or len(rows) > MOST_PAST_ATTEMPTS:
            raise ProtocolError(f"“attempts” must be a list of at most {MOST_PAST_ATTEMPTS:,}")
        return [_take_attempt(row) for row in rows]


def _take_attempt(row: object) -> PastAttempt:
    columns = list_columns(PastAttempt)
    if not isinstance(row, list) or len(row) != len(columns):
        raise ProtocolError(f"an attempt must be a list of {len(columns)} values")
    return PastAttempt(*(read(value) for read, value in zip(columns.values(), row, strict=True)))
