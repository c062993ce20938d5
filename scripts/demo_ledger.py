"""What the node said so far, and which overlay belongs to which answer.

A result names its instruction; an overlay, being a `sensor_msgs/Image`, has only its frame's header, which every question about
that frame shares. But the node answers one question after another, and publishes an answer's overlay before its result. So an
overlay belongs to the first result that was published after it. "After" is by the moments of publishing, which come with the
messages and are of one clock, the node's: the order in which messages of two topics arrive says nothing.
"""

from typing import Any


class Ledger:
    """Results, overlays and ends of texts as they are heard. Moments are nanoseconds of the publisher's clock."""

    def __init__(self) -> None:
        self._results: list[tuple[int, str, Any]] = []
        self._overlays: list[tuple[int, Any]] = []
        self._told: set[str] = set()

    def heard_result(self, instruction: str, published: int, result: Any) -> None:
        self._results.append((published, instruction, result))

    def saw_overlay(self, published: int, overlay: Any) -> None:
        self._overlays.append((published, overlay))

    def heard_last_word(self, instruction: str) -> None:
        self._told.add(instruction)

    def told(self, instruction: str) -> bool:
        """Whether the answer's text has come to its end."""
        return instruction in self._told

    def result(self, instruction: str) -> Any:
        """The result of that instruction, or None while there is none."""
        return next((result for _, name, result in self._results if name == instruction), None)

    def overlay(self, instruction: str) -> Any:
        """The overlay of that instruction, or None while there is none.

        It was published after the result before this one, whoever asked for that, and not after its own. Results are heard in
        the order of their publishing, so once this instruction's is there, so is the one before it.
        """
        own = next((published for published, name, _ in self._results if name == instruction), None)
        if own is None:
            return None
        before = max((published for published, _, _ in self._results if published < own), default=0)
        return next((overlay for published, overlay in reversed(self._overlays) if before < published <= own), None)
