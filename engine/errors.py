"""What can go wrong, and what a row says when it did.

    EmbercastError                 anything this project raises on purpose
    ├── ParameterError             a parameter or option is unknown, of the wrong type or out of range
    ├── SchemaError                a column is missing or of the wrong type
    ├── ModelError                 the model can't be used
    │   ├── ModelNotFoundError     no such model, version, alias or folder
    │   ├── UnsafeModelError       it would run code or unpickle data, or reads files elsewhere
    │   ├── ForbiddenModelError    the policy does not allow it
    │   ├── UnsupportedTaskError   the model does not have the task, or this release does not
    │   └── DamagedBundleError     files that do not have the digest they should have
    ├── DeviceError                the asked device or dtype can't be had
    └── RowError                   one row failed: becomes data in the scorer, never leaves it

Errors are raised on the driver wherever they can be known there. A ``RowError`` becomes the ``error`` field of its
row (``engine.schema.ERROR``); its code is one of ``ROW_ERROR_CODES`` and its message never carries row text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


class EmbercastError(Exception):
    """Base of every error this project raises on purpose: the message says what was expected, what came, what to do."""


class ParameterError(EmbercastError):
    """A parameter or an option is unknown, of the wrong type or out of range."""


class SchemaError(EmbercastError):
    """A column that the task reads is missing or of the wrong type."""


class ModelError(EmbercastError):
    """The model can't be used."""


class ModelNotFoundError(ModelError):
    """There is no such model, version, alias or folder."""


class UnsafeModelError(ModelError):
    """Loading the model would run foreign code or unpickle data, or read files outside of its folder."""


class ForbiddenModelError(ModelError):
    """The policy does not allow the model: its source or its licence."""


class UnsupportedTaskError(ModelError):
    """The model does not have the task asked for, or this release does not know it."""


class DamagedBundleError(ModelError):
    """The files of a bundle do not have the digest they should have."""


class DeviceError(EmbercastError):
    """The device or the dtype asked for can't be had on this hardware."""


#: code → may a retry help? The only codes a row's ``error.code`` can have.
ROW_ERROR_CODES: Final[Mapping[str, bool]] = {
    "invalid_text": False,  # the bytes are not UTF-8, or a text of a list is null where all are needed
    "invalid_parameter": False,  # a parameter column holds a value the task does not take
    "invalid_table": False,  # the value is no table: not JSON, of another shape, or without a cell
    "invalid_messages": False,  # the value is no list of messages: not JSON, without a role, or empty
    "invalid_request": False,  # the line of a batch file is no request of the job's endpoint
    "template_refused": False,  # the model has no chat template, or its template refuses these messages
    "incomplete": False,  # the answer reached its length before it was a whole value of the format asked for
    "too_long": False,  # the text or the recording is longer than the model or the limits take, and is not cut
    "too_large": False,  # the recording has more bytes, encoded or decoded, than the limits take
    "invalid_audio": False,  # the bytes are no recording that can be decoded, or its samples are no numbers
    "not_found": False,  # there is no file at the path
    "outside_roots": False,  # the path does not lie below the roots that may be read
    "unreadable": True,  # the file is there and could not be read
    "no_mask": False,  # the text holds no mask to fill
    "encode_failed": False,  # the tokenizer (or other preparation) raised on this row alone
    "forward_failed": False,  # the model raised on this row alone
    "decode_failed": False,  # turning this row's output into the struct raised
    "schema_mismatch": False,  # a foreign model's result does not fit the struct that was pinned
    "non_finite": False,  # the model's output holds NaN or Inf
    "worker_killed": False,  # the process that scored this row ended or hung, among others and alone
    "out_of_memory": True,  # this row alone does not fit the device's memory, or the temporary folder
}


class RowError(EmbercastError):
    """One row failed. Becomes the row's ``error`` struct.

    Args:
        code: one of ``ROW_ERROR_CODES``.
        message: what is wrong and what to do, without the row's text.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.retryable = ROW_ERROR_CODES[code]

    def __reduce__(self) -> tuple[type[RowError], tuple[str, str]]:
        return RowError, (self.code, self.message)


def non_finite() -> RowError:
    """What a row says for which the model gave NaN or Inf, wherever that is seen."""
    return RowError("non_finite", "expected finite model output, got NaN or Inf")
