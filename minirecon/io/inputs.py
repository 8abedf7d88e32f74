r"""What a network was given for the pixels of an image, which lie in [0, 1]: x = (pixels − mean) / std.

    centred      mean: the mean training image; std 1. The paper's; it needs the training set
    raw          mean 0, std 1
    MEAN,STD     numbers, such as 0.1307,0.3081; for RGB three of each, R,G,B means first, then R,G,B stds

No part of the paper.
"""

import numpy as np

# in others' code, for MNIST; CIFAR-10, ImageNet; and for anything
USUAL = {
    "grey": ["0.1307,0.3081", "0.5,0.5"],
    "RGB": ["0.4914,0.4822,0.4465,0.247,0.2435,0.2616", "0.485,0.456,0.406,0.229,0.224,0.225", "0.5,0.5"],
}


def written(inputs):
    r"""`inputs` as a text: "centred", "raw" or numbers with commas. They may be given as numbers in a row, too.

    Raises ValueError for anything else, and for a standard deviation that is not above 0.
    """
    text = inputs if isinstance(inputs, str) else ",".join(map(repr, np.ravel(inputs).tolist()))
    if text in ("centred", "raw"):
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 6) or not np.isfinite(numbers).all() or min(numbers[len(numbers) // 2 :]) <= 0:
        ways = "centred, raw, MEAN,STD, or R,G,B means, then R,G,B stds above 0"
        raise ValueError(f"inputs = {text[:50]}: expected {ways}")
    return ",".join(f"{number:g}" if float(f"{number:g}") == number else repr(number) for number in numbers)


def moments(inputs, d):
    r"""Mean and std of what is not centred: numbers, or for RGB arrays (d,), in the order (c, h, w).

    Raises ValueError as `written` does, and for six numbers where d is no multiple of 3.
    """
    text = written(inputs)
    numbers = [0.0, 1.0] if text == "raw" else [float(part) for part in text.split(",")]
    if len(numbers) == 2:
        return tuple(numbers)
    if d % 3:
        raise ValueError(f"inputs = {text}: expected one mean and one std for {d} numbers without three channels")
    return tuple(np.repeat(part, d // 3) for part in (numbers[:3], numbers[3:]))


def limits(inputs, d, dtype):
    r"""The least and the largest x can be, for pixels in [0, 1]: numbers, or arrays (d,); −1 and 1 if centred."""
    if written(inputs) == "centred":
        return -1.0, 1.0
    mean, std = moments(inputs, d)
    ends = (0 - mean) / std, (1 - mean) / std
    return ends if isinstance(mean, float) else tuple(end.astype(dtype) for end in ends)


def pixels(x, inputs):
    r"""The pixels of inputs x (m, d); if they are centred, these themselves, for the mean is not known."""
    if written(inputs) == "centred":
        return x
    mean, std = moments(inputs, x.shape[1])
    return x * std + mean


def changed(data, inputs):
    r"""A Dataset with its samples as a network that is given `inputs` takes them."""
    x, x_test = data.pixels(data.x), data.pixels(data.x_test)
    mean, std = (x.mean(axis=0), 1.0) if written(inputs) == "centred" else moments(inputs, x.shape[1])
    return data._replace(
        x=(x - mean) / std, x_test=(x_test - mean) / std, mean=np.broadcast_to(mean, x.shape[1]), std=std
    )


def usual(data):
    r"""What networks are usually given for the pixels of a Dataset's kind, its own mean and std first: a list."""
    channels = 3 if data.image_shape and data.image_shape[0] == 3 else 1
    x = data.pixels(data.x).reshape(len(data.x), channels, -1)
    own = [f"{number:.4f}" for moment in (np.mean, np.std) for number in moment(x, axis=(0, 2))]
    return [",".join(own), "centred", "raw", *(USUAL["RGB"] if channels == 3 else USUAL["grey"])]
