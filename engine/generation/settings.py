"""How a model writes: its own generation configuration, what it says for the task, the job's parameters over both."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.errors import ModelError, RowError
from engine.generation.lengths import Lengths
from engine.generation.params import GenerationParams
from engine.generation.running import keeps_keys_and_values

#: Parameters that have transformers' own names.
_SAME: Final = (
    "max_new_tokens",
    "min_new_tokens",
    "temperature",
    "top_k",
    "top_p",
    "num_beams",
    "repetition_penalty",
    "no_repeat_ngram_size",
    "length_penalty",
    "early_stopping",
)
#: Of these and their kin, those that mean nothing without sampling.
_SAMPLING: Final = ("temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")
#: What would need another way of writing than steps or beams; the values are those that ask for nothing.
_OTHER_WAYS: Final[Mapping[str, Any]] = {
    "guidance_scale": 1,
    "watermarking_config": None,
    "penalty_alpha": 0,
    "dola_layers": None,
    "token_healing": False,
    "prompt_lookup_num_tokens": None,
    "constraints": None,
    "force_words_ids": None,
    "num_beam_groups": 1,
}
#: What only transformers' own processors do, with the value that asks for nothing; so does null.
_ALONE: Final[Mapping[str, Any]] = {
    "num_beams": 1,
    "sequence_bias": None,
    "no_repeat_ngram_size": 0,
    "bad_words_ids": None,
    "forced_bos_token_id": None,
    "forced_eos_token_id": None,
    "exponential_decay_length_penalty": None,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
    "top_h": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
}


def alone(config: Any) -> list[str]:
    """What a generation configuration asks for that would change a text and that no ``Backend`` does, by name."""
    return [name for name, nothing in _ALONE.items() if getattr(config, name, None) not in (None, nothing)]


@dataclass(frozen=True)
class Settings:
    """What is decided for rows with equal parameters.

    Args:
        config: a transformers GenerationConfig in which every value is set; its lengths are those of ``lengths``, its
            stop strings are in ``stop`` alone.
        lengths: how many tokens a prompt may have, and how many are written.
        n: texts for a row.
        stop: strings that end a text, the model's own and the job's.
        start: the token that a sequence-to-sequence model's decoder starts with; None for a causal model.
        pads: whether prompts of different lengths may share a batch: a causal model that can't be told the positions
            of padded prompts counts the padding.
    """

    config: Any
    lengths: Lengths
    n: int
    stop: tuple[str, ...]
    start: int | None
    pads: bool

    @property
    def together(self) -> bool:
        """Whether a ``Backend`` writes so: tokens taken or drawn one by one, by no processor that it does not have."""
        config = self.config
        return self.start is None and not (alone(config) or config.remove_invalid_values or config.renormalize_logits)

    @property
    def beams(self) -> int:
        """Beams to search with; 1 where tokens are taken or drawn one by one."""
        return int(self.config.num_beams)


def check_model(model: Any) -> None:
    """Raises ModelError where the model can't be written with here: another way, or no cache of keys and values."""
    for name, nothing in _OTHER_WAYS.items():
        value = getattr(model.generation_config, name, None)
        if value is not None and value != nothing:
            raise ModelError(
                f"expected a generation configuration for greedy writing, sampling or beams; {name} is {value!r}, "
                "which needs another way: log the model without it"
            )
    if not keeps_keys_and_values(model):
        raise ModelError(
            f"expected a model whose layers attend to keys and values in a cache, {type(model).__name__} has others "
            "(recurrent ones) or none: log a model of another architecture"
        )


def settings(model: Any, params: GenerationParams, own: Mapping[str, Any], forced: Mapping[str, Any]) -> Settings:
    """What is decided for these parameters.

    Args:
        model: a transformers model, whose ``generation_config`` gives way to all else.
        own: what the model says for the task; gives way to the parameters.
        forced: what the task asks for; wins over all.

    Raises RowError(invalid_parameter) where the model has no room for the new tokens, or n needs sampling or beams.
    """
    given = {name: getattr(params, name) for name in _SAME if getattr(params, name) is not None}
    if params.samples is False:
        given = {name: value for name, value in given.items() if name not in _SAMPLING}
    config, _ = model._prepare_generation_config(None, **{**own, **given, **forced})
    _decide(config, params)
    length = own.get("max_length", model.generation_config.max_length)
    start = _start(model, config)
    pads = start is not None or "position_ids" in inspect.signature(model.forward).parameters
    lengths = Lengths.of(model, config, params, length)
    return Settings(config, lengths, params.n, (*_taken_stop(config), *params.stop), start, pads)


def _decide(config: Any, params: GenerationParams) -> None:
    """Sampling or beams: what is asked for, else sampling where the model's configuration has both."""
    beams = (params.num_beams or 1) > 1
    config.do_sample = bool(config.do_sample and not beams) if params.samples is None else params.samples
    if config.do_sample:
        config.num_beams = 1
        config.temperature = float(config.temperature)
    else:
        config.update(**dict.fromkeys(_SAMPLING))
    config.repetition_penalty = float(config.repetition_penalty)
    if params.n > 1 and not config.do_sample and config.num_beams < params.n:
        raise RowError("invalid_parameter", f"expected sampling or num_beams of at least {params.n}, the texts of n")


def _taken_stop(config: Any) -> tuple[str, ...]:
    """The configuration's own stop strings, taken out of it: transformers wants a tokenizer for them."""
    own, config.stop_strings = config.stop_strings, None
    return (own,) if isinstance(own, str) else tuple(own or ())


def _start(model: Any, config: Any) -> int | None:
    if not model.config.is_encoder_decoder:
        return None
    start = config.bos_token_id if config.decoder_start_token_id is None else config.decoder_start_token_id
    if start is None:
        raise ModelError("expected a generation configuration with decoder_start_token_id or bos_token_id, it has none")
    return int(start)
