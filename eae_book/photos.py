"""What a PNG says of the images in it, so that a dark page can turn the rest of it dark."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from PIL import Image
from PIL.PngImagePlugin import PngInfo

Boxes = Sequence[Sequence[int]]
"""Of each image: left, top, right and bottom, in pixels of the picture."""

PHOTOS = "photos"
"""The text chunk of a PNG that holds the boxes; a picture without it is left as it is."""


def with_photos(png: bytes, boxes: Boxes) -> bytes:
    """The PNG with these boxes in its text chunk."""
    info = PngInfo()
    info.add_text(PHOTOS, json.dumps(boxes))
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.save(buffer, format="PNG", pnginfo=info, dpi=picture.info.get("dpi"))
    return buffer.getvalue()


def photos_in(png: bytes) -> Boxes | None:
    """The boxes that a PNG holds, or None if nothing is said in it."""
    try:
        with Image.open(io.BytesIO(png)) as picture:
            text = picture.info.get(PHOTOS)
    except OSError:
        return None
    found: Boxes | None = None if text is None else json.loads(text)
    return found
