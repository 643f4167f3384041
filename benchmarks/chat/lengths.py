"""How long prompts and answers are: log-normal, as those of real chats are, and scaled down to what a CPU can write.

LMSYS-Chat-1M (Zheng et al., 2023, table 1) has 69.5 tokens a prompt and 214.5 an answer on average, ShareGPT's
conversations more (Kwon et al., 2023, figure 11); both are skewed to the right. Here a prompt of the user has 40 tokens
in the median and 64 on average, an answer 60 and 77: a prompt's as in LMSYS, an answer's about a third.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

#: Steps of the R2 sequence (Roberts, 2018), which fills the unit square evenly whatever part of it is taken.
_PLASTIC: Final = 1.324717957244746
_STEPS: Final = (1 / _PLASTIC, 1 / _PLASTIC**2)


@dataclass(frozen=True)
class Length:
    """A log-normal length in tokens, cut at both ends; ``sigma`` is the deviation of its logarithm."""

    median: float
    sigma: float
    least: int
    most: int

    def at(self, share: float) -> int:
        """The length that a share of all are shorter than."""
        drawn = self.median * math.exp(self.sigma * NormalDist().inv_cdf(share))
        return min(self.most, max(self.least, round(drawn)))


USER: Final = Length(40, 1.0, 4, 400)
ANSWER: Final = Length(60, 0.8, 4, 256)


def lengths(count: int, *, seed: int = 0, user: Length = USER, answer: Length = ANSWER) -> list[tuple[int, int]]:
    """Tokens of the user's prompt and of the answer, of every chat; they don't depend on one another.

    Spread evenly over the rows: every long enough part of them has the same lengths, so that a slow way may be measured
    on the first so many.
    """
    start = (0.5 + seed * math.sqrt(2), 0.5 + seed * math.sqrt(3))
    shares = [tuple((start[axis] + (i + 1) * _STEPS[axis]) % 1.0 for axis in (0, 1)) for i in range(count)]
    return [(user.at(first), answer.at(second)) for first, second in shares]
