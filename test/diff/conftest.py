import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from exim import Exim  # noqa: E402


@pytest.fixture
def site(tmp_path):
    """Makes private installations; whatever still runs at the end is stopped."""
    made = []

    def make(config, name="exim", **words):
        e = Exim(tmp_path / name, config, **words)
        made.append(e)
        return e

    yield make
    for e in made:
        e.stop()
