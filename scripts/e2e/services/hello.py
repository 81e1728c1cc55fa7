import os
from confluent_kafka import Consumer, Producer

kafka = {"bootstrap.servers": os.environ["KAFKA"]}
consumer = Consumer(kafka | {"group.id": "hello", "auto.offset.reset": "earliest"})
producer = Producer(kafka | {"partitioner": "murmur2_random", "linger.ms": 0})
consumer.subscribe(["hello.requests"])
while True:
    request = consumer.poll(1.0)
    if request is None or request.error():
        continue
    headers = dict(request.headers() or [])
    producer.produce(headers["parley-reply-topic"].decode(), key=headers["parley-request-id"], value=request.value())
    producer.poll(0)
