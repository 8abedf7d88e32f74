r"""Pictures: images, curves, captions. The only rooms that know Matplotlib are this one and the figures beside it.

The one style of all of them is here. A colour has one meaning in a figure, and over all, where possible: BLUE is the
attack and what was trained on, ORANGE and GREEN what they are compared with, GREY the nulls, which know little or
nothing, BLACK a line to hold against, or what was published. The first four and BLACK are Okabe and Ito's, which
colour-blind readers can tell apart; lines also differ in style, for print.
"""

BLUE, SKY, ORANGE, GREEN, BLACK, GREY = "#0072B2", "#56B4E9", "#D55E00", "#009E73", "#000000", "#808080"
STYLES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, ":"), (BLACK, "-."), (SKY, (0, (5, 1))))
LINES = [{"color": colour, "linestyle": style} for colour, style in STYLES]
MARKED = [line | {"marker": marker} for line, marker in zip(LINES, "os^Dv", strict=True)]
NULLS = [{"color": GREY, "linestyle": style, "linewidth": 1.2} for style in (":", "-.", (0, (5, 1)))]

WIDTH = 6.5  # inches of every picture: the text on a page with margins of an inch
SMALL = 7  # points, where 8 have no room: above an image and in a legend
STYLE = {  # Matplotlib's parameters, where they are not those that it is shipped with
    "font.size": 8, "axes.titlesize": 8, "figure.titlesize": 9, "legend.fontsize": SMALL, "legend.handlelength": 2.4,
    "lines.linewidth": 1.2, "lines.markersize": 3.5, "errorbar.capsize": 2, "grid.alpha": 0.3, "grid.linewidth": 0.5,
    "axes.linewidth": 0.6, "xtick.major.width": 0.6, "ytick.major.width": 0.6, "patch.linewidth": 0.6,
    "axes.formatter.use_mathtext": True, "savefig.dpi": 300,
    "svg.hashsalt": "minirecon",  # the same figure is the same file
}  # fmt: skip
