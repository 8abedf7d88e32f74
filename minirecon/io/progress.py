r"""The one progress line of a training or an attack, with elapsed and remaining time."""

import numpy as np
from tqdm import tqdm


def progress_line(total, name, show):
    r"""A tqdm bar over `total` on standard error; where `show` is False, one that prints nothing."""
    form = "{desc} {percentage:3.0f}% [{elapsed}<{remaining}]{postfix}"  # elapsed < remaining
    return tqdm(total=total, desc=name, disable=not show, bar_format=form, ncols=79, mininterval=0.5)


class History:
    r"""Collects the terms of the loss, one entry an iteration, and moves the progress line."""

    def __init__(self, bar):
        self.bar, self.rows = bar, []

    def add(self, terms):
        if not np.isfinite(sum(terms.values())):
            raise ValueError(f"the loss is not finite after {len(self.rows)} iterations; expected smaller steps")
        self.rows.append(dict(terms))
        self.bar.set_postfix_str(" ".join(f"{name} {value:.2g}" for name, value in terms.items()), refresh=False)
        self.bar.update()

    def restore(self, arrays):
        r"""The inverse of `arrays`: an attack that goes on has made these iterations already."""
        self.rows = [dict(zip(arrays, map(float, row), strict=True)) for row in zip(*arrays.values(), strict=True)]
        self.bar.update(len(self.rows))

    def arrays(self):
        return {name: np.array([row[name] for row in self.rows]) for name in (self.rows or [{}])[0]}
