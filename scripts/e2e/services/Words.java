import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

class Words {
    public static void main(String[] args) {
        Map<String, Object> kafka = Map.of("bootstrap.servers", System.getenv("KAFKA"), "group.id", "words", "auto.offset.reset", "earliest");
        var consumer = new KafkaConsumer<>(kafka, new StringDeserializer(), new StringDeserializer());
        var producer = new KafkaProducer<>(Map.of("bootstrap.servers", System.getenv("KAFKA")), new StringSerializer(), new StringSerializer());
        consumer.subscribe(List.of("words.requests"));
        while (true) {
            for (var request : consumer.poll(Duration.ofSeconds(1))) {
                var replyTopic = new String(request.headers().lastHeader("parley-reply-topic").value());
                var id = new String(request.headers().lastHeader("parley-request-id").value());
                var words = request.value().replace("\"", "").split(" ");
                for (int n = 0; n < words.length; n++) {
                    var part = new ProducerRecord<>(replyTopic, id, '"' + words[n] + '"');
                    part.headers().add("parley-part", ("" + n).getBytes()).add("parley-final", ("" + (n == words.length - 1)).getBytes());
                    producer.send(part);
                }
            }
        }
    }
}
