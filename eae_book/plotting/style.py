"""The look of every figure: matplotlib defaults, and one colour for each method."""

from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
from cycler import cycler

from .pictures import show_with_photos

# The Okabe-Ito set without its yellow, which is too pale for a line on white. Neighbours in the
# cycle differ in lightness as well as in hue, so the order also survives a grey print.
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#5B5B5B")

COLORS: dict[str, str] = {
    # Models. The same method has the same colour in every chapter.
    "ae": "#D55E00",
    "ae_bn": "#E69F00",
    "eae": "#0072B2",
    "eae_weak": "#56B4E9",  # the same method with a small entropy weight
    "vae": "#009E73",
    "cv_vae": "#66C2A5",
    "wae": "#CC79A7",
    "rae": "#882255",
    "two_stage": "#8C6D31",
    "gan": "#332288",
    # Distributions of a code.
    "gaussian": "#5B5B5B",
    "uniform": "#CC79A7",
    "laplace": "#009E73",
    "exponential": "#882255",
    "student_t": "#E69F00",
    # What a figure is measured against.
    "truth": "#222222",
    "data": "#999999",
}

_STYLE: Any = {  # matplotlib types its keys one by one; a plain dictionary does not fit
    "figure.facecolor": "white",
    "figure.figsize": (6.4, 3.6),
    "figure.dpi": 150,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": "white",
    "savefig.transparent": False,
    "savefig.dpi": 150,
    "axes.facecolor": "white",
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#5B5B5B",
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "font.size": 10,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.color": "#5B5B5B",
    "ytick.color": "#5B5B5B",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "image.cmap": "gray",
    "image.interpolation": "nearest",
}


def use_book_style() -> None:
    """Set matplotlib's defaults to the book's: white ground, 150 dpi, colour-blind-safe cycle.

    Figures that a notebook shows from now on say where their images are, so that the book's pages
    can show them dark as well, see :mod:`eae_book.plotting.pictures`.

    Example:
        >>> use_book_style()
        >>> plt.rcParams["figure.dpi"], plt.rcParams["savefig.transparent"]
        (150.0, False)
    """
    # From matplotlib's own defaults, so that a reader's matplotlibrc does not change the figures.
    # rcdefaults leaves the backend alone.
    show_with_photos()
    mpl.rcdefaults()
    plt.rcParams.update(_STYLE)
