package io.cryptocdc.connect.json;

import org.apache.kafka.connect.data.Struct;

/** Writes the structs of one schema as JSON. */
interface StructWriter {
    void write(JsonBuffer out, Struct struct);
}
