import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.serialization.*;

class Hello {
    public static void main(String[] args) {
        Map<String, Object> kafka = Map.of("bootstrap.servers", System.getenv("KAFKA"), "group.id", "hello", "auto.offset.reset", "earliest");
        var consumer = new KafkaConsumer<>(kafka, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        var producer = new KafkaProducer<>(Map.of("bootstrap.servers", System.getenv("KAFKA")), new ByteArraySerializer(), new ByteArraySerializer());
        consumer.subscribe(List.of("hello.requests"));
        while (true) {
            for (var request : consumer.poll(Duration.ofSeconds(1))) {
                var replyTopic = new String(request.headers().lastHeader("parley-reply-topic").value());
                var id = request.headers().lastHeader("parley-request-id").value();
                producer.send(new ProducerRecord<>(replyTopic, id, request.value()));
            }
        }
    }
}
