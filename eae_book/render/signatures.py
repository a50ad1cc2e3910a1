"""Types in the reference under the names that a reader would import. A Sphinx extension."""

from __future__ import annotations

import re
from typing import Any


def readable(text: str) -> str:
    """Names that say too little when they stand alone keep their package.

    >>> readable("(z: ~torch.Tensor, device: str | ~torch.device)")
    '(z: ~torch.Tensor, device: str | torch.device)'
    """
    return re.sub(r"~(torch\.(?:device|dtype))\b", r"\1", text)


def setup(app: Any) -> dict[str, bool]:
    """Spell the types of every signature that autodoc writes."""

    def spelt(*found: Any) -> tuple[str | None, str | None]:
        *_, signature, result = found
        return tuple(text and readable(text) for text in (signature, result))  # type: ignore[return-value]

    app.connect("autodoc-process-signature", spelt)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
