"""The fixture that makes private installations and stops them."""

import pytest

from exim import Exim


@pytest.fixture
def site(tmp_path):
    made = []

    def make(config, name="exim", **words):
        e = Exim(tmp_path / name, config, **words)
        made.append(e)
        return e

    yield make
    for e in made:
        e.stop()
