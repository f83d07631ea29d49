"""The catalogue of markets: names, price levels, smallest steps, and levels of activity."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Instrument:
    """One market. Prices are whole ticks of 10^-price_decimals, quantities whole steps of 10^-quantity_decimals.

    price_decimals + quantity_decimals <= 8, so that their product is exact with the exchange's eight decimals.
    """

    base: str
    quote: str
    price: float  # around which the walk moves, in quote units
    price_decimals: int
    quantity_decimals: int
    trades_per_second: float  # raw trades, at rate 1
    lot: float  # a typical quantity of one aggregate trade, in base units
    name: str = ""  # if the venue's name is not base and quote joined
    pair_rate: float = 0.0  # trades per second of the market whose price it follows, 0 if it has its own
    perpetual: bool = False  # a perpetual contract on the pair
    fewest_a_slot: float = 6.0  # minimum average number of aggregate trades in half a minute, at any rate
    contract_exponent: int = 0  # one unit of quantity is 10^contract_exponent of the base

    @property
    def symbol(self) -> str:
        return self.name or self.pair

    @property
    def pair(self) -> str:
        """The key of the price process, which all markets of a pair share."""
        return self.base + self.quote

    @property
    def volatility(self) -> float:
        """The relative price move of a minute: less traded markets move more."""
        return round(0.0004 * float((32.0 / (self.pair_rate or self.trades_per_second)) ** 0.15), 6)

    @property
    def base_ticks(self) -> int:
        return round(self.price * float(10**self.price_decimals))

    @property
    def quote_decimals(self) -> int:
        """Decimals of price times quantity."""
        return self.price_decimals + self.quantity_decimals


def _usdt(base: str, price: float, price_decimals: int, quantity_decimals: int, rate: float) -> Instrument:
    # An aggregate trade of some 400 USDT, whatever the price of one unit.
    return Instrument(base, "USDT", price, price_decimals, quantity_decimals, rate, 400.0 / price)


BASIS = 0.0006  # average premium of a perpetual contract over its pair


def perpetual(spot: Instrument, name: str, quantity_decimals: int, contract_exponent: int = 0) -> Instrument:
    """Return the contract on a spot market, with more trades and a slightly higher price."""
    return replace(
        spot,
        name=name,
        perpetual=True,
        contract_exponent=contract_exponent,
        price=spot.price * (1.0 + BASIS),
        quantity_decimals=quantity_decimals,
        trades_per_second=round(spot.trades_per_second * 1.4, 1),
        pair_rate=spot.trades_per_second,
        lot=max(spot.lot / float(10**contract_exponent), 4.0 * float(10**-quantity_decimals)),
    )


# Price levels, ticks and the order of activity as on the spot market; the first twenty together make about 170 raw
# trades a second.
CATALOGUE: tuple[Instrument, ...] = (
    _usdt("BTC", 65000.0, 2, 5, 32.0),
    _usdt("ETH", 3200.0, 2, 4, 24.0),
    _usdt("BNB", 590.0, 2, 3, 12.0),
    _usdt("SOL", 152.0, 2, 3, 18.0),
    _usdt("XRP", 0.61, 4, 1, 12.0),
    _usdt("DOGE", 0.132, 5, 0, 12.0),
    _usdt("ADA", 0.47, 4, 1, 7.0),
    _usdt("AVAX", 29.0, 2, 2, 5.0),
    _usdt("TRX", 0.162, 4, 1, 5.0),
    _usdt("LINK", 13.2, 2, 2, 5.0),
    _usdt("DOT", 5.4, 3, 2, 4.0),
    _usdt("LTC", 72.0, 2, 3, 4.0),
    _usdt("SHIB", 0.0000184, 8, 0, 5.0),
    _usdt("PEPE", 0.0000096, 8, 0, 8.0),
    _usdt("UNI", 7.9, 3, 2, 3.0),
    _usdt("BCH", 365.0, 1, 3, 3.0),
    _usdt("NEAR", 4.6, 3, 1, 4.0),
    _usdt("APT", 8.7, 3, 2, 3.0),
    _usdt("SUI", 1.72, 4, 1, 6.0),
    _usdt("ARB", 0.58, 4, 1, 4.0),
    _usdt("OP", 1.61, 3, 2, 3.0),
    _usdt("FIL", 3.9, 3, 2, 2.0),
    _usdt("ATOM", 4.4, 3, 2, 2.0),
    _usdt("ETC", 19.1, 2, 2, 2.0),
    _usdt("XLM", 0.097, 4, 0, 2.0),
    _usdt("ICP", 8.1, 3, 2, 1.5),
    _usdt("HBAR", 0.055, 5, 0, 2.0),
    _usdt("INJ", 19.8, 2, 2, 2.0),
    _usdt("RUNE", 5.1, 3, 1, 2.0),
    _usdt("FTM", 0.69, 4, 0, 2.0),
    _usdt("AAVE", 148.0, 2, 3, 1.5),
    _usdt("GRT", 0.165, 4, 0, 1.0),
    _usdt("ALGO", 0.124, 4, 0, 1.0),
    _usdt("VET", 0.0226, 5, 1, 1.0),
    _usdt("SAND", 0.26, 4, 0, 1.0),
    _usdt("MANA", 0.29, 4, 0, 1.0),
    _usdt("AXS", 4.7, 3, 2, 0.8),
    _usdt("THETA", 1.28, 3, 1, 0.8),
    _usdt("EOS", 0.49, 4, 1, 0.8),
    _usdt("XTZ", 0.68, 3, 1, 0.6),
    _usdt("CHZ", 0.064, 5, 0, 0.6),
    _usdt("CRV", 0.29, 3, 1, 0.8),
    _usdt("LDO", 1.08, 3, 2, 0.8),
    _usdt("MKR", 1510.0, 1, 4, 0.6),
    _usdt("SNX", 1.46, 3, 1, 0.5),
    _usdt("ENJ", 0.152, 4, 1, 0.5),
    _usdt("GALA", 0.0204, 5, 0, 1.0),
    _usdt("IMX", 1.41, 4, 2, 0.8),
    _usdt("DYDX", 0.98, 3, 2, 0.8),
    _usdt("1INCH", 0.26, 4, 1, 0.5),
    _usdt("ZEC", 38.0, 2, 3, 0.6),
    _usdt("DASH", 25.0, 2, 3, 0.5),
    _usdt("COMP", 44.0, 2, 3, 0.4),
    _usdt("KSM", 18.6, 2, 3, 0.4),
    _usdt("NKN", 0.082, 4, 0, 0.4),
    _usdt("币安人生", 0.0000121, 8, 0, 2.0),
    Instrument("ETH", "BTC", 0.0492, 5, 3, 4.0, 0.12),
    Instrument("BNB", "BTC", 0.0091, 6, 2, 2.0, 0.7),
    Instrument("SOL", "BTC", 0.00234, 7, 1, 2.0, 2.5),
    Instrument("LTC", "BTC", 0.00111, 6, 2, 0.6, 5.0),
    Instrument("LINK", "BTC", 0.000203, 7, 1, 0.6, 30.0),
    Instrument("LRC", "BTC", 0.0000026, 8, 0, 0.4, 900.0),
    Instrument("BTC", "EUR", 60100.0, 2, 5, 4.0, 0.006),
    Instrument("ETH", "EUR", 2960.0, 2, 4, 3.0, 0.12),
    Instrument("XRP", "EUR", 0.56, 4, 1, 1.0, 600.0),
)
