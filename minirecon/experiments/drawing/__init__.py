r"""Pictures: images, curves, captions. The only rooms that know Matplotlib are this one and the figures beside it."""
