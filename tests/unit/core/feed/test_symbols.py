"""Valid symbols: whatever an exchange lists, and nothing that another system reads as syntax."""

import sys
import unicodedata

import pytest
import re2
from pydantic import TypeAdapter, ValidationError

from cryptocdc_core.feed import symbols
from cryptocdc_core.feed.base import Symbol
from cryptocdc_core.feed.symbols import as_listed, has_quote, is_symbol
from cryptocdc_core.storage.partitioning import change_partition, murmur2, partition_of

LISTED = [
    "BTCUSDT", "1000SATSUSDT", "BTCUSDT_261225", "币安人生USDT", "这是测试币456", "我踏马来了USDT", "ΑΒΓUSDT",
    "ПЕПЕUSDT", "USD-M.X_1", "7", "BTC-USD", "BTC-USDT-SWAP", "Ａ", "कीमतUSDT", "A" * 50, "币" * 50,
]  # fmt: skip
HARMFUL = [
    "", " ", "BTC USDT", "BTCUSDT\n", "btcusdt", "BTCUSDT'; DROP TABLE klines; --", 'A" OR "1"="1', "A`id`", "$(ID)",
    "A;B", "A|B", "A&B", "A>B", "<SCRIPT>", "&LT;", "../../ETC", "..", ".A", "-A", "--HELP", "_A", "A/B", "A\\B",
    "A%2FB", "A?B", "A#B", "A,B", "A@B", 'A",B="C', "A{B}", "A}", "A=B", "A:B", "A*", "A~", "A\0B", "A\tB", "A\x7f",
    "A\u200bB", "A\u202eB", "A\ufeff", "A\u00a0B", "A\u2028B", "\u0301A", "😀USDT", "A\ud800", "A" * 51, "币" * 51,
    "ｂｔｃ", "ﬁUSDT", "²", "½", "€USDT",
]  # fmt: skip
DECOMPOSED = ["E\u0301USDT", "\u1112\u1161\u11abUSDT", "\uf900USDT"]


def model_takes(text):
    try:
        TypeAdapter(Symbol).validate_python(text, strict=True)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("name", LISTED)
def test_names_listed_by_exchanges_are_valid_symbols(name):
    assert is_symbol(name)
    assert model_takes(name)
    assert re2.search(symbols.PATTERN, name)


@pytest.mark.parametrize("name", HARMFUL)
def test_names_with_syntax_of_other_systems_are_not_valid_symbols(name):
    assert not is_symbol(name)
    assert not model_takes(name)


@pytest.mark.parametrize("name", DECOMPOSED)
def test_of_two_unicode_forms_only_the_composed_one_is_accepted(name):
    composed = unicodedata.normalize("NFC", name)
    assert is_symbol(composed)
    assert not is_symbol(name)
    with pytest.raises(ValidationError, match="composed form"):
        TypeAdapter(Symbol).validate_python(name, strict=True)
    assert as_listed(name) == composed


def test_the_pattern_and_the_function_agree_on_every_character():
    """Only characters of Unicode 14, since libraries implement different versions."""
    known = [chr(at) for at in range(sys.maxunicode + 1) if unicodedata.category(chr(at)) not in ("Cn", "Cs")]
    pattern = re2.compile(symbols.PATTERN)
    differing = [
        character
        for character in known
        if unicodedata.is_normalized("NFC", "A" + character)
        and is_symbol("A" + character) != bool(pattern.search("A" + character))
    ]
    assert differing == []


def test_only_letters_with_a_single_capital_are_capitalized():
    assert as_listed(" btcusdt ") == "BTCUSDT"
    assert as_listed("币安人生usdt") == "币安人生USDT"
    assert as_listed("straßeusdt") == "STRAßEUSDT"  # SS would be another symbol


def test_a_symbol_s_partition_is_kafka_s_for_its_utf_8_bytes():
    """The value is that of Kafka's Utils.murmur2 for these bytes."""
    name = "币安人生USDT"
    assert murmur2(name.encode("utf-8")) == murmur2(bytes.fromhex("e5b881e5ae89e4babae7949f55534454"))
    assert partition_of(name, 12) == (murmur2(name.encode("utf-8")) & 0x7FFFFFFF) % 12
    assert change_partition(name, 12) == partition_of('{"symbol":"币安人生USDT"}', 12)


@pytest.mark.parametrize(
    ("name", "quote", "has"),
    [
        ("BTCUSDT", "USDT", True), ("USDTBRL", "USDT", False), ("BTC-USDT", "USDT", True), ("BTC-USD", "USD", True),
        ("BTC-USDT-SWAP", "USDT", True), ("USDT-USD", "USDT", False), ("BTC-USDT", "BTC", False),
    ],
)  # fmt: skip
def test_the_quote_asset_is_found_in_the_naming_style_of_every_venue(name, quote, has):
    assert has_quote(name, quote) is has
