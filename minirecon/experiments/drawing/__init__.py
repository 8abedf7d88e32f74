r"""Pictures: images, curves, captions. The only rooms that know Matplotlib are this one and the figures beside it.

Colours are Okabe and Ito's, which colour-blind readers can tell apart; lines also differ in style, for print.
"""

BLUE, SKY, ORANGE, GREEN, BLACK = "#0072B2", "#56B4E9", "#D55E00", "#009E73", "#000000"
STYLES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, ":"), (BLACK, "-."), (SKY, (0, (5, 1))))
LINES = [{"color": colour, "linestyle": style} for colour, style in STYLES]
MARKED = [line | {"marker": marker} for line, marker in zip(LINES, "os^Dv", strict=True)]
