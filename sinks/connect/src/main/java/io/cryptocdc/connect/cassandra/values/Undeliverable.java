package io.cryptocdc.connect.cassandra.values;

/** A record that can't be written as the mapping says; the message says why. It becomes a dead letter. */
public final class Undeliverable extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private Undeliverable(String kind, String detail) {
        super(kind + ": " + detail, null, false, false);
    }

    /** The record is not what the mapping expects. */
    public static Undeliverable undecodable(String detail) {
        return new Undeliverable("undecodable", detail);
    }

    /** A value does not fit into its column. */
    public static Undeliverable unencodable(String detail) {
        return new Undeliverable("unencodable", detail);
    }

    /** Cassandra refuses the row. */
    public static Undeliverable refused(String detail) {
        return new Undeliverable("refused", detail);
    }

    /** The same, with the column in front of the detail. */
    public Undeliverable at(String column) {
        String[] parts = getMessage().split(": ", 2);
        return new Undeliverable(parts[0], "column " + column + ": " + parts[1]);
    }

    public static String shown(Object value) {
        String text = String.valueOf(value);
        return "'" + (text.length() > 80 ? text.substring(0, 79) + "…" : text) + "'";
    }
}
