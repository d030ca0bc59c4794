"""What servers call element types."""

from __future__ import annotations

import doctest

from pointsman.model import dtypes
from pointsman.model.feed import DTYPES
from pointsman.model.wire import DATATYPES


def test_examples_are_right() -> None:
    """The examples of the documentation hold."""
    found = doctest.testmod(dtypes)

    assert found.attempted
    assert not found.failed


def test_every_name_of_the_open_inference_protocol_is_known() -> None:
    """Each of its datatypes is read as the dtype that it is made of."""
    assert {dtypes.dtype_of(name): dtype for dtype, name in DATATYPES.items()} == {
        dtype: dtype for dtype in DTYPES
    }
