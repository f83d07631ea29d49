package io.cryptocdc.connect.cassandra.mapping;

import io.cryptocdc.connect.cassandra.values.Undeliverable;
import io.cryptocdc.connect.cassandra.values.Values;
import java.math.BigDecimal;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * An order book's quantities summed by price: one row for each bin, with the fields bin, price_low, price_high,
 * bid_quantity and ask_quantity.
 *
 * @param time the field with the book's time, in milliseconds; only multiples of `everyMs` are summed
 * @param bins a bin's width is the smallest of 1, 2, 5 × 10ⁿ of which `bins` - 2 cover all prices
 */
public record Histogram(
    String time, long everyMs, int bins, String bidPrices, String bidQuantities, String askPrices, String askQuantities) {

    private static final MathContext PRECISION = new MathContext(60, RoundingMode.HALF_EVEN);
    private static final List<BigDecimal> STEPS = List.of(BigDecimal.ONE, BigDecimal.valueOf(2), BigDecimal.valueOf(5));

    public boolean applies(Expression.Fields record) {
        return record.number(time) % everyMs == 0;
    }

    /** One map for each bin, lowest price first; none for an empty book; null where the book is not in the record. */
    public List<Map<String, Object>> rows(Expression.Fields record, String unavailable) {
        List<List<BigDecimal>> sides = new ArrayList<>();
        for (String name : List.of(bidPrices, bidQuantities, askPrices, askQuantities)) {
            Object value = record.get(name);
            if (unavailable.equals(value) || value instanceof List<?> items && items.contains(unavailable)) {
                return null;
            }
            sides.add(decimals(name, value));
        }
        if (sides.get(0).size() != sides.get(1).size() || sides.get(2).size() != sides.get(3).size()) {
            throw Undeliverable.unencodable("prices and quantities of a side differ in number");
        }
        List<BigDecimal> prices = new ArrayList<>(sides.get(0));
        prices.addAll(sides.get(2));
        if (prices.isEmpty()) {
            return List.of();
        }
        BigDecimal least = prices.stream().min(BigDecimal::compareTo).orElseThrow();
        BigDecimal most = prices.stream().max(BigDecimal::compareTo).orElseThrow();
        BigDecimal width = width(most.subtract(least));
        BigDecimal low = least.divide(width, 0, RoundingMode.FLOOR).multiply(width);
        BigDecimal[][] sums = new BigDecimal[bins][2];
        for (BigDecimal[] sum : sums) {
            sum[0] = sum[1] = BigDecimal.ZERO;
        }
        for (int side = 0; side < 2; side++) {
            for (int level = 0; level < sides.get(2 * side).size(); level++) {
                int at = sides.get(2 * side).get(level).subtract(low).divideToIntegralValue(width).intValueExact();
                sums[at][side] = sums[at][side].add(sides.get(2 * side + 1).get(level));
            }
        }
        List<Map<String, Object>> rows = new ArrayList<>();
        for (int bin = 0; bin < bins; bin++) {
            Map<String, Object> row = new LinkedHashMap<>();
            row.put("bin", (long) bin);
            row.put("price_low", plain(low.add(width.multiply(BigDecimal.valueOf(bin)))));
            row.put("price_high", plain(low.add(width.multiply(BigDecimal.valueOf(bin + 1L)))));
            row.put("bid_quantity", plain(sums[bin][0]));
            row.put("ask_quantity", plain(sums[bin][1]));
            rows.add(row);
        }
        return rows;
    }

    BigDecimal width(BigDecimal span) {
        BigDecimal least = span.divide(BigDecimal.valueOf(bins - 2L), PRECISION);
        int exponent = least.signum() == 0 ? 0 : least.precision() - least.scale() - 1;
        for (int power = exponent; power <= exponent + 1; power++) {
            for (BigDecimal step : STEPS) {
                BigDecimal width = step.scaleByPowerOfTen(power);
                if (width.compareTo(least) >= 0) {
                    return width;
                }
            }
        }
        throw new AssertionError("10 times the power of ten is never less");
    }

    private static List<BigDecimal> decimals(String name, Object value) {
        if (!(value instanceof List<?> items)) {
            throw Undeliverable.undecodable("field " + name + " is " + Undeliverable.shown(value) + " instead of a list");
        }
        List<BigDecimal> found = new ArrayList<>(items.size());
        items.forEach(item -> found.add(Values.decimal(item)));
        return found;
    }

    private static BigDecimal plain(BigDecimal value) {
        return value.scale() < 0 ? value.setScale(0) : value;
    }
}
