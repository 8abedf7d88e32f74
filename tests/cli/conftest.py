import numpy as np
import pytest

from minirecon import Layer, save


@pytest.fixture
def anywhere(tmp_path, monkeypatch):
    r"""A folder to be in, with net.npz, a small network that was not trained."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    save((Layer(rng.normal(size=(20, 784))), Layer(rng.normal(size=(1, 20)))), tmp_path / "net.npz")
    return tmp_path
