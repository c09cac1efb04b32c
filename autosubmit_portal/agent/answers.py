"""Answers of child processes on their way to the gateway, which takes them bit by bit."""

from dataclasses import dataclass

from autosubmit_portal.agent.protocol import ProtocolError, Server, limits
from autosubmit_portal.agent.protocol.fields import take_object, take_text
from autosubmit_portal.agent.protocol.strict_json import Message
from autosubmit_portal.agent.readers.process import Heard
from autosubmit_portal.sentences import say


@dataclass(slots=True)
class _Answer:
    """What is on its way."""

    value: Message
    data: memoryview


class Answers:
    """Passes them on. Never waits."""

    def __init__(self, connection: Server) -> None:
        self._connection = connection
        self._answers: dict[int, _Answer] = {}

    @property
    def held_bytes(self) -> int:
        """How many bytes the gateway has not taken yet."""
        return sum(len(answer.data) for answer in self._answers.values())

    def take(self, channel: int, heard: Heard) -> None:
        """Take what a child process has answered to a request, which may be why it has not."""
        message, data = heard
        try:
            if "failure" in message:
                failure = take_object(message, "failure")
                self._connection.fail(channel, take_text(failure, "code"), take_text(failure, "reason"))
            else:
                self._answers[channel] = _Answer(take_object(message, "value"), memoryview(data))
        except ProtocolError as error:
            self._connection.fail(channel, "failed", say("What a reader says is not understood: {error}.", error=error))

    def cancel(self, channel: int) -> bool:
        """Leave an answer that nobody waits for; return whether it was there."""
        return self._answers.pop(channel, None) is not None

    def pass_on(self) -> None:
        """Send what the gateway takes now."""
        for channel in tuple(self._answers):
            self._pass_on(channel)

    def _pass_on(self, channel: int) -> None:
        answer = self._answers[channel]
        while answer.data and self._connection.bytes_to_send <= limits.USUAL_CREDIT:
            piece = answer.data[: self._connection.credit(channel)]
            if not piece:
                return
            self._connection.send_data(channel, bytes(piece))
            answer.data = answer.data[len(piece) :]
        if not answer.data:
            del self._answers[channel]
            self._connection.answer(channel, answer.value)
