import json, os
from confluent_kafka import Consumer, Producer

kafka = {"bootstrap.servers": os.environ["KAFKA"]}
consumer = Consumer(kafka | {"group.id": "words", "auto.offset.reset": "earliest"})
producer = Producer(kafka | {"partitioner": "murmur2_random", "linger.ms": 0})
consumer.subscribe(["words.requests"])
while True:
    request = consumer.poll(1.0)
    if request is None or request.error():
        continue
    headers = dict(request.headers() or [])
    words = json.loads(request.value()).split()
    for n, word in enumerate(words):
        final = "true" if n == len(words) - 1 else "false"
        producer.produce(headers["parley-reply-topic"].decode(), key=headers["parley-request-id"], value=json.dumps(word),
                         headers={"parley-part": str(n), "parley-final": final})
    producer.poll(0)
