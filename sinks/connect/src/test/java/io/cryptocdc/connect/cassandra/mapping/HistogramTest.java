package io.cryptocdc.connect.cassandra.mapping;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.cryptocdc.connect.cassandra.mapping.Expression.Fields;
import io.cryptocdc.connect.cassandra.values.Undeliverable;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class HistogramTest {
    private static final Histogram BOOK = new Histogram("at", 10_000, 24, "bp", "bq", "ap", "aq");

    private static Fields book(Object bp, Object bq, Object ap, Object aq) {
        return new Fields(new HashMap<>(Map.of("at", 20_000, "bp", bp, "bq", bq, "ap", ap, "aq", aq)), 0, 0);
    }

    @Test
    void onlyEveryTenthSecondIsSummed() {
        assertTrue(BOOK.applies(new Fields(Map.of("at", 20_000), 0, 0)));
        assertFalse(BOOK.applies(new Fields(Map.of("at", 21_000), 0, 0)));
    }

    @Test
    void widthsAreOneTwoOrFiveTimesAPowerOfTen() {
        Map<String, String> widths = Map.of("0", "1", "22", "1", "23", "2", "66", "5", "111", "10", "0.0022", "0.0001");
        widths.forEach((span, width) -> assertEquals(0, new BigDecimal(width).compareTo(BOOK.width(new BigDecimal(span))), span));
    }

    @Test
    void quantitiesAreSummedWithoutLosingADigit() {
        List<Map<String, Object>> rows = BOOK.rows(
            book(List.of("100.1", "100.0"), List.of("1.50", "0.00000001"), List.of("122.0"), List.of("3")), "gone");
        assertEquals(24, rows.size());
        assertEquals(new BigDecimal("100"), rows.get(0).get("price_low"));
        assertEquals(new BigDecimal("1.50000001"), rows.get(0).get("bid_quantity"));
        assertEquals(new BigDecimal("3"), rows.get(22).get("ask_quantity"));
        assertEquals(23L, rows.get(23).get("bin"));
    }

    @Test
    void anEmptyBookHasNoBinsAndAnUnavailableOneIsNotTouched() {
        List<String> none = List.of();
        assertEquals(List.of(), BOOK.rows(book(none, none, none, none), "gone"));
        assertNull(BOOK.rows(book(none, none, "gone", none), "gone"));
        assertNull(BOOK.rows(book(none, none, List.of("gone"), none), "gone"));
    }

    @Test
    void aSideWithMorePricesThanQuantitiesIsRefused() {
        assertThrows(Undeliverable.class, () -> BOOK.rows(book(List.of("1"), List.of(), List.of(), List.of()), "gone"));
    }
}
