"""An invoice as a PDF."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import typst

from synaxis_billing.invoices.documents.model import InvoiceDocument
from synaxis_billing.invoices.documents.page import page

_TEMPLATE = Path(__file__).with_name("invoice.typ")
_FONT = "Libertinus Serif"
# typst keeps the layout of the last ten documents, which is 0.1 MB a line.
_KEPT_DOCUMENTS = 10
_LONG_TABLE = 100


def pdf(invoice: InvoiceDocument, fonts: Sequence[Path] = ()) -> bytes:
    """Return the PDF, the same bytes for the same invoice and fonts on every machine: fonts of the
    system are not used.

    `fonts` are folders of fonts for scripts beyond Latin, Greek and Cyrillic; without them, a page
    in a language that needs one is in English. Raises ValueError for a folder without a font.
    """
    # Without this time, the PDF would contain the time of rendering.
    made = (invoice.issued_at or invoice.period_end).replace(microsecond=0)
    how = options(invoice, fonts)
    document: bytes = typst.compile(_TEMPLATE, format="pdf", timestamp=made, **how)
    if len(invoice.line_items) > _LONG_TABLE:
        _forget(how["font_paths"])
    return document


def _forget(fonts: typst.Fonts) -> None:
    """Push the layout of what was rendered out of memory, by as many empty documents."""
    for _ in range(_KEPT_DOCUMENTS + 1):
        typst.compile(b" ", font_paths=fonts, ignore_system_fonts=True)


def options(invoice: InvoiceDocument, fonts: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the options with which the template is compiled."""
    known = _fonts(tuple(fonts))
    own = sorted({font.family for font in known.fonts() if font.path is not None})
    said = page(invoice, any_script=bool(own))
    # The configured fonts come first where they are what the language is written in.
    said["fonts"] = [*own, _FONT] if said["language"] == "ja" else [_FONT, *own]
    return {
        "root": _TEMPLATE.parent,
        "font_paths": known,
        "ignore_system_fonts": True,
        # Names of customers are data, never markup.
        "sys_inputs": {"page": json.dumps(said, ensure_ascii=False)},
    }


@cache
def _fonts(folders: tuple[Path, ...]) -> typst.Fonts:
    for folder in folders:
        one = typst.Fonts(
            include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder]
        )
        if not one.fonts():
            raise ValueError(f"{folder} has no font")
    return typst.Fonts(include_system_fonts=False, font_paths=list(folders))
