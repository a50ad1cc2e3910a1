"""One figure style for the whole book: colours by method, seed bands, truth lines, image grids.

Call `use_book_style` once, in a chapter's imports cell. Everything else takes plain matplotlib
axes, so that a figure stays ordinary matplotlib code with a few shared pieces.
"""

from .images import image_grid, image_panels, image_rows, image_table
from .lines import band, label_lines, truth_line
from .pictures import png_of
from .style import COLORS, CYCLE, use_book_style

__all__ = [
    "COLORS",
    "CYCLE",
    "band",
    "image_grid",
    "image_panels",
    "image_rows",
    "image_table",
    "label_lines",
    "png_of",
    "truth_line",
    "use_book_style",
]
