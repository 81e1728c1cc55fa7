import { Kafka, Partitioners } from 'kafkajs'

const kafka = new Kafka({ brokers: [process.env.KAFKA] })
const consumer = kafka.consumer({ groupId: 'hello' })
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
await producer.connect()
await consumer.subscribe({ topic: 'hello.requests', fromBeginning: true })
await consumer.run({
  async eachMessage({ message: { headers, value } }) {
    await producer.send({
      topic: headers['parley-reply-topic'].toString(),
      messages: [{ key: headers['parley-request-id'], value }],
    })
  },
})
