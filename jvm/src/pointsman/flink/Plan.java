package pointsman.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/** What Python wants run; `runner/flink_plan.py` says what its members mean. */
final class Plan {
    private static final ObjectMapper JSON = new ObjectMapper();

    private final JsonNode root;

    Plan(JsonNode root) {
        this.root = root;
    }

    static JsonNode parse(String text) throws IOException {
        return JSON.readTree(text);
    }

    /** The member at a path such as `/source/topics`. */
    JsonNode at(String path) {
        JsonNode found = root.at(path);
        if (found.isMissingNode()) {
            throw new IllegalArgumentException("the plan has no " + path);
        }
        return found;
    }

    String text(String path) {
        return at(path).asText();
    }

    int number(String path) {
        return at(path).asInt();
    }

    List<String> texts(String path) {
        List<String> found = new ArrayList<>();
        at(path).forEach(each -> found.add(each.asText()));
        return found;
    }

    Map<String, String> pairs(String path) {
        Map<String, String> found = new LinkedHashMap<>();
        at(path).properties().forEach(each -> found.put(each.getKey(), each.getValue().asText()));
        return found;
    }

    Properties properties(String path) {
        Properties found = new Properties();
        found.putAll(pairs(path));
        return found;
    }
}
