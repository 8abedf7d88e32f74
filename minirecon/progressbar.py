r"""The one progress line of a training or an attack, with elapsed and remaining time."""

from tqdm import tqdm


def bar(total, name, show):
    r"""A tqdm bar over `total` on standard error; where `show` is False, one that prints nothing."""
    form = "{desc} {percentage:3.0f}% [{elapsed}<{remaining}]{postfix}"  # elapsed < remaining
    return tqdm(total=total, desc=name, disable=not show, bar_format=form, ncols=79, mininterval=0.5)
