import pytest
from hypothesis import settings

from minirecon import mlp

settings.register_profile("minirecon", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("minirecon")


@pytest.fixture
def interrupt(monkeypatch):
    r"""`calls = interrupt(number)`: Ctrl-C at that forward pass. `calls` collects the passes."""
    forward = mlp.forward

    def at(number):
        calls = []

        def counted(*args):
            calls.append(args)
            if len(calls) == number:
                raise KeyboardInterrupt
            return forward(*args)

        monkeypatch.setattr(mlp, "forward", counted)
        return calls

    return at
