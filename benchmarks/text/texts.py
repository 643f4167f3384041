"""Texts to score: all distinct, of given mean length, the same on every machine, made without any data set.

Every word is one token of BERT's uncased vocabulary, so that a text of n words has n + 2 tokens. Lengths are
log-normal, as those of messages and reviews are, and spread evenly over the rows: every long enough part of the
texts has the same mean, so that a slow way may be measured on the first so many.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

_WORDS: Final = (
    "the of and to in is was for on that with as at by from his her it he she they we you not but are be or an this "
    "were had has have been which who when where there their them then than more most some such only other into over "
    "after before between during under about against through while because also very just even still again never "
    "always often once here now today good bad great small large long short high low old new young early late strong "
    "easy hard hot cold dark light clear open full free real true wrong fine happy ready sure quiet quick slow heavy "
    "red blue green white black brown gold silver man woman boy girl child people friend family mother father brother "
    "sister wife husband house home room door window wall floor table chair bed kitchen garden street road bridge city "
    "town village country state school church hospital office station market shop store bank hotel river lake sea "
    "island mountain hill forest tree flower grass bird dog cat horse fish water fire air ice rain snow wind sun moon "
    "star day night morning evening week month year hour minute moment time place way thing part side end world life "
    "death love war peace power law king queen president doctor teacher student writer artist player driver soldier "
    "book story word letter page paper news film music song dance game match team goal race train car bus ship boat "
    "plane phone radio camera machine engine computer money price cost job work plan idea question answer problem "
    "reason result story name number line point color sound voice face eye hand arm leg foot head heart body food "
    "bread meat milk coffee tea sugar salt apple dinner lunch come go see look hear say tell ask give take make put "
    "keep hold bring send buy sell pay find lose win play run walk stand sit sleep eat drink read write speak listen "
    "think know believe remember forget feel want need like hate help try start stop begin finish wait follow lead "
    "turn move change grow build break cut open close carry pull push throw catch fall rise fly swim sing laugh cry"
)
WORDS: Final = tuple(dict.fromkeys(_WORDS.split()))
MOST_TOKENS: Final = 512  # the model's limit: no way has to cut a text, and stock pipelines don't unless told to
_LEAST_TOKENS: Final = 6
_SPREAD: Final = 0.6  # of the logarithm of a length
_GOLDEN: Final = (math.sqrt(5) - 1) / 2


def texts(count: int, mean_tokens: int, *, seed: int = 0) -> list[str]:
    """``count`` distinct texts with about ``mean_tokens`` tokens each on average, [CLS] and [SEP] counted."""
    draw = random.Random(f"{seed}-{mean_tokens}")
    seen: set[str] = set()
    found = []
    for length in token_lengths(count, mean_tokens):
        text = " ".join(draw.choices(WORDS, k=length - 2))
        while text in seen:
            text = " ".join(draw.choices(WORDS, k=length - 2))
        seen.add(text)
        found.append(text)
    return found


def token_lengths(count: int, mean_tokens: int) -> list[int]:
    """Tokens of each text: log-normal, between 6 and 512; multiples of the golden ratio spread them over the rows."""
    normal = [NormalDist().inv_cdf(((i + 1) * _GOLDEN) % 1.0) for i in range(count)]
    low, high = 0.0, 12.0  # bounds of the mean's logarithm, halved until the cut lengths have the mean asked for
    for _ in range(40):
        middle = (low + high) / 2
        short = sum(_lengths(normal, middle)) < count * mean_tokens
        low, high = (middle, high) if short else (low, middle)
    return _lengths(normal, high)


def rows_at(texts: int, mean_tokens: int) -> int:
    """How many texts of a mean length: as many as asked where they are short, else half of those's tokens."""
    return texts if mean_tokens <= 50 else max(1, texts * 27 // (2 * mean_tokens))


def with_repeats(texts: Sequence[str], *, every: int = 20, reach: int = 200, seed: int = 0) -> list[str]:
    """The texts with each ``every``-th replaced by one of the ``reach`` before it, as campaigns and templates are."""
    draw = random.Random(seed)
    repeated = list(texts)
    for i in range(every - 1, len(repeated), every):
        repeated[i] = repeated[draw.randrange(max(0, i - reach), i)]
    return repeated


def tokens_of(text: str) -> int:
    """How many tokens a text made here has."""
    return text.count(" ") + 3


def _lengths(normal: Sequence[float], mu: float) -> list[int]:
    return [min(MOST_TOKENS, max(_LEAST_TOKENS, round(math.exp(mu + _SPREAD * z)))) for z in normal]
