"""Valid symbols: every name that the exchange can list, and none that another system would interpret as syntax.

The exchange accepts word characters of any script except a to z, with "-", "." and "_", at most 50 (the legal range in
its error -1100): 币安人生USDT and 这是测试币456 are such names. A symbol goes into SQL, CQL, JSON keys, record keys,
URLs, file names, metric labels, HTML and command lines. So it contains no space, quote, slash, control or formatting
character, and begins with a letter or a digit, so that it is neither a command's option nor a relative path.
"""

from __future__ import annotations

import string
import unicodedata

MAX_LENGTH = 50
"""In characters of at most four bytes in UTF-8: 200 bytes fit into a file name and a label."""

_BEGINS = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{Nd}"
PATTERN = rf"^[{_BEGINS}][{_BEGINS}\p{{M}}_.-]{{0,{MAX_LENGTH - 1}}}$"
"""For RE2 and Rust's regex, which support Unicode classes; Python's `re` does not."""
WORDS = "the exchange's name in capitals, such as BTCUSDT or 币安人生USDT"

MAX_ASSET_LENGTH = 30
ASSET_PATTERN = rf"^[{_BEGINS}][{_BEGINS}\p{{M}}]{{0,{MAX_ASSET_LENGTH - 1}}}$"

_UPPER_CASE = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)


def is_symbol(text: str) -> bool:
    """Return whether `text` is a valid symbol: it matches PATTERN and is in Unicode's composed form (NFC)."""
    if not 1 <= len(text) <= MAX_LENGTH or not unicodedata.is_normalized("NFC", text):
        return False
    categories = [unicodedata.category(character) for character in text]
    return _begins(categories[0]) and all(
        _begins(category) or category[0] == "M" or character in "_.-"
        for character, category in zip(text, categories, strict=True)
    )


def _begins(category: str) -> bool:
    return category in ("Lu", "Lt", "Lm", "Lo", "Nd")


def has_quote(symbol: str, quote: str) -> bool:
    """Return whether a market of this name, about which nothing else is known, has this quote asset: its name ends with
    it as BTCUSDT does, or it is a part of the name as of BTC-USDT-SWAP."""
    return quote in symbol.split("-")[1:] if "-" in symbol else symbol.endswith(quote)


def composed(text: str) -> str:
    """Return `text` if it is in Unicode's composed form; otherwise raise ValueError, which names that form. Two
    spellings that look the same would be two markets."""
    form = unicodedata.normalize("NFC", text)
    if form != text:
        raise ValueError(f"not in Unicode's composed form (NFC); accepted: {form!r}")
    return text


def as_listed(text: str) -> str:
    """Return a symbol that a person typed in the exchange's spelling: composed, a to z in capitals, without surrounding
    spaces. Other letters are unchanged: their capitals may be other symbols."""
    return unicodedata.normalize("NFC", text.strip()).translate(_UPPER_CASE)
