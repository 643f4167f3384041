"""Rules for time stamps, against transformers' own, row by row."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import WhisperTimeStampLogitsProcessor

from engine.speech.rules import Rules
from engine.speech.stamps import Stamps

_END, _NO_TIMESTAMPS, _SIZE = 20, 24, 60


def _theirs(latest: int | None) -> WhisperTimeStampLogitsProcessor:
    config = SimpleNamespace(
        eos_token_id=_END,
        bos_token_id=_END,
        no_timestamps_token_id=_NO_TIMESTAMPS,
        max_initial_timestamp_index=latest,
    )
    return WhisperTimeStampLogitsProcessor(config, begin_index=2)


@pytest.mark.parametrize("latest", [None, 5])
@pytest.mark.parametrize("seed", range(4))
def test_every_step_rules_out_what_transformers_rules_out(seed: int, latest: int | None) -> None:
    random = np.random.default_rng(seed)
    rules = Rules(
        timestamps=True,
        end=_END,
        start=21,
        positions=448,
        no_timestamps=_NO_TIMESTAMPS,
        max_initial_timestamp=latest,
    )
    stamps, theirs = Stamps(rules, 8, torch.device("cpu")), _theirs(latest)
    ids = torch.full((8, 2), 21)
    seen = set()
    for step in range(12):
        # Time stamps weigh more in some rows than in others, so that both of the last rule's sides are met.
        logits = torch.from_numpy(random.normal(size=(8, _SIZE)).astype(np.float32) * 2)
        logits[:, rules.first_stamp :] += torch.linspace(-6, 3, 8)[:, None]
        expected = theirs(ids, logits)
        scores = logits.clone()
        stamps.apply(scores)
        assert torch.equal(scores, expected)
        tokens = expected.softmax(dim=-1).multinomial(1, generator=torch.Generator().manual_seed(100 * seed + step))
        stamps.append(tokens[:, 0])
        ids = torch.cat([ids, tokens], dim=1)
        if step == 6:
            kept = torch.tensor([0, 2, 3, 5, 6, 7])
            stamps.keep(kept)
            ids = torch.cat([ids[kept], ids[kept][:2]])
            stamps.latest, stamps.last, stamps.before = (
                torch.cat([one, one[:2]]) for one in (stamps.latest, stamps.last, stamps.before)
            )
        seen |= set((ids[:, 2:] >= rules.first_stamp).flatten().tolist())
    assert seen == {True, False}
