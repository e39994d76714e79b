"""Packets of a file -> the same packets on one clock, though the file's clock may start anew.

Recordings that were joined byte by byte have a clock each. A packet that jumps back, or far ahead
where the format allows that, begins a new recording: its clock goes on where the one before ended.
All tracks of a recording share one clock, so sound and pictures stay in step.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Final

from av.packet import Packet
from av.stream import Stream

_BACK_S: Final = Fraction(1, 2)  # less is a slip of the clock
_AHEAD_S: Final = 10  # as FFmpeg's -dts_delta_threshold; less is a hole in the recording
_MAX_NAMED: Final = 3


class Timeline:
    """Places packets on one clock, in the order in which they are in the file."""

    def __init__(self, *, may_jump_ahead: bool) -> None:
        """Start with the clock of the file.

        Args:
            may_jump_ahead: a jump ahead of all tracks is a new recording and not a hole.
        """
        self.joints: list[Fraction] = []  # when recordings after the first begin, in seconds
        self._may_jump_ahead = may_jump_ahead
        self._start: Fraction | None = None
        self._end = Fraction(0)  # of all tracks, on the one clock
        self._newest = Fraction(0)  # what is added to the clock of the newest recording
        self._offsets: dict[int, Fraction] = {}  # the same of the recording that a track is in
        self._decoded: dict[int, Fraction] = {}  # until when a track is decoded, on the one clock

    @property
    def note(self) -> str:
        """Say how many recordings are joined, and where."""
        times = ", ".join(f"{float(time):.2f}" for time in self.joints[:_MAX_NAMED])
        return f"{len(self.joints) + 1} recordings are joined: new ones begin at {times} s"

    def place(
        self, track: int, decoded_s: Fraction, shown_s: Fraction, end_s: Fraction
    ) -> Fraction:
        """Return how many seconds to add to the times of a packet.

        Args:
            track: that the packet belongs to.
            decoded_s: when it is decoded; in one recording, packets of a track are in this order.
            shown_s: when it is heard or shown.
            end_s: until when.
        """
        if self._start is None:
            self._start = shown_s
            self._end = end_s
        offset = self._find_offset(track, decoded_s, shown_s)
        self._offsets[track] = offset
        self._decoded[track] = decoded_s + offset
        self._end = max(self._end, end_s + offset)
        return offset

    def _find_offset(self, track: int, decoded_s: Fraction, shown_s: Fraction) -> Fraction:
        offset = self._offsets.get(track, self._newest)
        before = self._decoded.get(track, decoded_s + offset)
        if offset != self._newest and not self._goes_on(decoded_s, offset, before):
            offset = self._newest  # another track has begun a new recording, and now this one
        is_back = decoded_s + offset < before - _BACK_S
        if is_back or (self._may_jump_ahead and shown_s + offset > self._end + _AHEAD_S):
            self.joints.append(self._end - (self._start or 0))
            offset = self._newest = self._end - shown_s
        return offset

    def _goes_on(self, decoded_s: Fraction, offset: Fraction, before: Fraction) -> bool:
        """Return whether a packet belongs to the recording that its track was in."""
        gap, new_gap = decoded_s + offset - before, decoded_s + self._newest - before
        return 0 <= gap < abs(new_gap)


def place_packets(
    packets: Iterable["Packet[Stream]"], timeline: Timeline
) -> Iterator["Packet[Stream]"]:
    """Yield packets with their times on the one clock; they must be those of all tracks."""
    for packet in packets:
        if packet.dts is not None:
            tick = packet.time_base
            shown = packet.dts if packet.pts is None else packet.pts
            end = shown + (packet.duration or 0)
            offset_s = timeline.place(
                packet.stream.index, packet.dts * tick, shown * tick, end * tick
            )
            if offset_s:
                packet.dts += round(offset_s / tick)
                packet.pts = shown + round(offset_s / tick)
        yield packet
