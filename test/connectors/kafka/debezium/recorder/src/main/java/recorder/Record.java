package recorder;

import io.apicurio.registry.utils.converter.AvroConverter;
import io.debezium.embedded.Connect;
import io.debezium.engine.DebeziumEngine;
import io.debezium.engine.RecordChangeEvent;
import io.debezium.engine.format.ChangeEventFormat;
import io.debezium.transforms.ExtractNewRecordState;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.json.JsonConverter;
import org.apache.kafka.connect.source.SourceRecord;
import org.apache.kafka.connect.storage.Converter;

/**
 * Runs Debezium's engine with the properties of the file named by the first argument and prints each
 * record as Kafka Connect would have written it, once per form, as a line of JSON:
 *
 *   {"form": "json | json_schemas | avro | unwrapped | unwrapped_schemas | unwrapped_avro", "topic": …,
 *    "key": base64 or null, "value": base64 or null, "headers": {name: base64}}
 *
 * `registry` among the properties is the base address of an Apicurio registry. Ends when its standard
 * input does.
 */
public final class Record {
    private static final Map<String, Converter[]> converters = new HashMap<>();
    private static Map<String, Object> avro;

    public static void main(String[] args) throws Exception {
        Properties props = new Properties();
        try (var in = Files.newBufferedReader(Path.of(args[0]))) { props.load(in); }
        String registry = (String) props.remove("registry");
        add("json", new JsonConverter(), Map.of("schemas.enable", "false"));
        add("json_schemas", new JsonConverter(), Map.of("schemas.enable", "true"));
        avro = Map.of(
            "apicurio.registry.url", registry + "/apis/registry/v2", "apicurio.registry.auto-register", "true",
            "apicurio.registry.headers.enabled", "false", "apicurio.registry.as-confluent", "true",
            "apicurio.registry.id-handler", "io.apicurio.registry.serde.Legacy4ByteIdHandler",
            "apicurio.registry.use-id", "contentId", "schema.name.adjustment.mode", "avro");
        ExtractNewRecordState<SourceRecord> unwrap = new ExtractNewRecordState<>();
        unwrap.configure(Map.of("delete.tombstone.handling.mode", "rewrite-with-tombstone",
            "add.fields", "op,source.ts_us"));
        DebeziumEngine<?> engine = DebeziumEngine.create(ChangeEventFormat.of(Connect.class)).using(props)
            .using((ok, message, error) -> {
                if (ok) return;
                System.err.println(message);
                if (error != null) error.printStackTrace();
                System.exit(1);
            })
            .notifying((List<RecordChangeEvent<SourceRecord>> batch,
                DebeziumEngine.RecordCommitter<RecordChangeEvent<SourceRecord>> committer) -> {
                for (RecordChangeEvent<SourceRecord> event : batch) {
                    SourceRecord record = event.record();
                    for (String form : List.of("json", "json_schemas")) print(form, record, converters.get(form), "");
                    print("avro", record, avro("avro", record), "");
                    SourceRecord row = unwrap.apply(record);
                    if (row != null) {
                        print("unwrapped", row, converters.get("json"), "");
                        print("unwrapped_schemas", row, converters.get("json_schemas"), "");
                        print("unwrapped_avro", row, avro("unwrapped_avro", row), ".unwrapped");
                    }
                    committer.markProcessed(event);
                }
                System.out.flush();
                committer.markBatchFinished();
            }).build();
        Thread thread = new Thread(engine, "engine");
        thread.start();
        new BufferedReader(new InputStreamReader(System.in)).lines().forEach(line -> {});
        engine.close();
        System.exit(0);
    }

    private static void add(String form, JsonConverter converter, Map<String, Object> settings) {
        JsonConverter key = new JsonConverter();
        key.configure(settings, true);
        converter.configure(settings, false);
        converters.put(form, new Converter[] {key, converter});
    }

    /** A converter a schema: one that has seen a topic's first schema keeps to it (Apicurio 2.6). */
    private static Converter[] avro(String form, SourceRecord record) {
        return converters.computeIfAbsent(form + record.topic() + System.identityHashCode(record.valueSchema()), name -> {
            Converter[] pair = {new AvroConverter<>(), new AvroConverter<>()};
            pair[0].configure(avro, true);
            pair[1].configure(avro, false);
            return pair;
        });
    }

    /** `suffix`: keeps the schemas of both shapes of one topic apart in the registry. */
    private static void print(String form, SourceRecord record, Converter[] pair, String suffix) {
        String topic = record.topic();
        StringBuilder headers = new StringBuilder();
        for (Header header : record.headers()) {
            byte[] bytes = converters.get("json")[1].fromConnectData(topic, header.schema(), header.value());
            headers.append(headers.length() == 0 ? "" : ",").append('"').append(header.key()).append("\":").append(text(bytes));
        }
        byte[] key = record.key() == null ? null
            : pair[0].fromConnectData(topic + suffix, new RecordHeaders(), record.keySchema(), record.key());
        byte[] value = record.value() == null ? null
            : pair[1].fromConnectData(topic + suffix, new RecordHeaders(), record.valueSchema(), record.value());
        System.out.println("{\"form\":\"" + form + "\",\"topic\":\"" + topic + "\",\"key\":" + text(key)
            + ",\"value\":" + text(value) + ",\"headers\":{" + headers + "}}");
    }

    private static String text(byte[] bytes) {
        return bytes == null ? "null" : '"' + Base64.getEncoder().encodeToString(bytes) + '"';
    }
}
