"""What the node said so far, and which overlay belongs to which answer.

A result names its instruction; an overlay, being a `sensor_msgs/Image`, has only its frame's header, which every question about
that frame shares. The node draws overlays beside its work, so an answer's overlay is published before or after its result. But it
is never published before the question, and whoever asks one question at a time, and waits for the overlay of each, has had those of
all questions before. So an overlay belongs to the question that was asked last before it was published, if it is about the frame of
that question's result. The moments of publishing come with the messages, and are of the machine's clock, as the moments of asking
are: the order in which messages of two topics arrive says nothing.
"""

from typing import Any


class Ledger:
    """Results, overlays and ends of texts as they are heard. Moments are nanoseconds of the machine's clock."""

    def __init__(self) -> None:
        self._asked: dict[str, int] = {}
        self._results: dict[str, Any] = {}
        self._overlays: list[tuple[int, Any]] = []
        self._told: set[str] = set()

    def asked(self, instruction: str, moment: int) -> None:
        """The instruction is about to be published."""
        self._asked[instruction] = moment

    def heard_result(self, instruction: str, result: Any) -> None:
        self._results.setdefault(instruction, result)

    def saw_overlay(self, published: int, overlay: Any) -> None:
        self._overlays.append((published, overlay))

    def heard_last_word(self, instruction: str) -> None:
        self._told.add(instruction)

    def told(self, instruction: str) -> bool:
        """Whether the answer's text has come to its end."""
        return instruction in self._told

    def result(self, instruction: str) -> Any:
        """The result of that instruction, or None while there is none."""
        return self._results.get(instruction)

    def overlay(self, instruction: str) -> Any:
        """The overlay of that instruction, or None while there is none.

        It was published after this question was asked and before the next one was, and is about the frame of the result.
        """
        result, own = self.result(instruction), self._asked.get(instruction)
        if result is None or own is None:
            return None
        after = min((moment for moment in self._asked.values() if moment > own), default=None)
        return next((overlay for published, overlay in self._overlays
                     if own <= published and (after is None or published < after) and overlay.header == result.header), None)
