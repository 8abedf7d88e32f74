import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minirecon import load_dataset
from minirecon.io import inputs

NUMBERS = st.floats(-3, 3).map(lambda number: round(number, 6))
MNIST, CIFAR = "0.1307,0.3081", "0.4914,0.4822,0.4465,0.247,0.2435,0.2616"


@given(st.lists(NUMBERS, min_size=3, max_size=3), st.lists(st.floats(0.01, 3), min_size=3, max_size=3))
def test_what_is_written_is_read(means, stds):
    for numbers in ((means[0], stds[0]), (*means, *stds)):
        text = inputs.written(numbers)
        assert list(map(float, text.split(","))) == list(numbers)
        assert inputs.written(text) == text
    assert inputs.written((means, stds)) == inputs.written((*means, *stds))


@pytest.mark.parametrize(
    "wrong", ["", "Raw", "0.5", "0.5,0", "0.5,-1", "nan,1", "0,inf", "1,2,3", "1,1,1,1,1,0", (0.5,), "x" * 1000]
)
def test_refuses(wrong):
    with pytest.raises(ValueError, match=r"^inputs = .{0,50}: expected centred, raw, MEAN,STD, or R,G,B"):
        load_dataset("mnist", 4, inputs=wrong)


def test_three_channels():
    with pytest.raises(ValueError, match=f"inputs = {CIFAR}: expected one mean and one std for 784 numbers"):
        load_dataset("mnist", 4, inputs=CIFAR)
    data, paper = load_dataset("cifar10", 4, inputs=CIFAR), load_dataset("cifar10", 4)
    numbers = np.array(CIFAR.split(","), float)
    for x, centred in ((data.x, paper.x), (data.x_test, paper.x_test)):
        expected = centred + paper.mean
        for channel in range(3):
            part = slice(1024 * channel, 1024 * (channel + 1))
            np.testing.assert_allclose(
                x[:, part], (expected[:, part] - numbers[channel]) / numbers[3 + channel], atol=1e-12
            )
        np.testing.assert_allclose(data.pixels(x), expected, atol=1e-12)
    low, high = inputs.limits(CIFAR, 3072, np.float32)
    assert low.dtype == high.dtype == np.float32
    assert np.all(data.x >= low - 1e-6)
    assert np.all(data.x <= high + 1e-6)
    assert np.any(data.x > high - 0.05)


def test_one_channel():
    paper = load_dataset("mnist", 4)
    raw, standardised = (load_dataset("mnist", 4, inputs=each) for each in ("raw", MNIST))
    np.testing.assert_allclose(raw.x, paper.x + paper.mean, atol=1e-15)
    np.testing.assert_allclose(standardised.x, (raw.x - 0.1307) / 0.3081, atol=1e-12)
    assert inputs.limits("centred", 784, np.float32) == (-1.0, 1.0)
    assert inputs.limits("raw", 784, np.float32) == (0.0, 1.0)
    assert inputs.limits(MNIST, 784, np.float32) == pytest.approx((-0.4242, 2.8215), abs=1e-4)
    for name in ("centred", "raw", MNIST):  # from any to any
        for data in (paper, raw, standardised):
            again = inputs.changed(data, name)
            np.testing.assert_allclose(again.x, load_dataset("mnist", 4, inputs=name).x, atol=1e-12)
            np.testing.assert_allclose(again.pixels(again.x_test), raw.x_test, atol=1e-12)


def test_usual_inputs_are_known():
    for case, channels in (("mnist", 1), ("cifar10", 3), ("circle", 1)):
        data = load_dataset(case, 4)
        own, *others = inputs.usual(data)
        assert len(own.split(",")) == 2 * channels
        x = inputs.changed(data, own).x.reshape(4, channels, -1)
        np.testing.assert_allclose(x.mean(axis=(0, 2)), 0, atol=1e-3)
        np.testing.assert_allclose(x.std(axis=(0, 2)), 1, atol=1e-2)
        for name in others:
            assert inputs.written(name) == name
            inputs.changed(data, name)
