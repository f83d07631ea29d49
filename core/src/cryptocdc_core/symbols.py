"""What may name a market: every name that the exchange can list, and none that another system reads as syntax.

The exchange accepts word characters of any script but a to z, with "-", "." and "_", 50 at most (the legal range in its
refusals, -1100): 币安人生USDT and 这是测试币456 are such names. A symbol goes into SQL, CQL, JSON keys, record
keys, URLs, file names, metric labels, HTML and command lines. So it holds no space, quote, slash, control or formatting
character, and begins with a letter or a digit: it is neither an option of a command nor a path that leads elsewhere.
"""

from __future__ import annotations

import string
import unicodedata

MAX_LENGTH = 50
"""In characters, of which UTF-8 takes at most four bytes each: 200 bytes fit into a file name and a label."""

_BEGINS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{Nd}"
PATTERN = rf"^[{_BEGINS}][{_BEGINS}\p{{M}}_.-]{{0,{MAX_LENGTH - 1}}}$"
"""For RE2 and Rust's regex, which know classes of Unicode; Python's `re` does not."""
WORDS = "the exchange's name in capitals, such as BTCUSDT or 币安人生USDT"

MAX_ASSET_LENGTH = 30
ASSET_PATTERN = rf"^[{_BEGINS}][{_BEGINS}\p{{M}}]{{0,{MAX_ASSET_LENGTH - 1}}}$"

_UPPER_CASE = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)


def is_symbol(text: str) -> bool:
    """Return whether `text` may name a market: it matches PATTERN and is in Unicode's composed form (NFC)."""
    if not 1 <= len(text) <= MAX_LENGTH or not unicodedata.is_normalized("NFC", text):
        return False
    categories = [unicodedata.category(character) for character in text]
    return _begins(categories[0]) and all(
        _begins(category) or category[0] == "M" or character in "_.-"
        for character, category in zip(text, categories, strict=True)
    )


def _begins(category: str) -> bool:
    return category in ("Lu", "Lt", "Lm", "Lo", "Nd")


def composed(text: str) -> str:
    """Return `text` when it is in Unicode's composed form; raise ValueError naming that form otherwise. Two spellings
    that look the same would be two markets."""
    form = unicodedata.normalize("NFC", text)
    if form != text:
        raise ValueError(f"not in Unicode's composed form (NFC); accepted: {form!r}")
    return text


def as_listed(text: str) -> str:
    """Return a symbol as the exchange spells it, from what a person typed: composed, a to z in capitals, no spaces
    around it. Other letters stay as they are: their capitals may be other symbols."""
    return unicodedata.normalize("NFC", text.strip()).translate(_UPPER_CASE)
