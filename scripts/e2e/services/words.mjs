import { Kafka, Partitioners } from 'kafkajs'

const kafka = new Kafka({ brokers: [process.env.KAFKA] })
const consumer = kafka.consumer({ groupId: 'words' })
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
await producer.connect()
await consumer.subscribe({ topic: 'words.requests', fromBeginning: true })
await consumer.run({
  async eachMessage({ message: { headers, value } }) {
    const words = JSON.parse(value).split(' ')
    for (const [n, word] of words.entries()) {
      await producer.send({
        topic: headers['parley-reply-topic'].toString(),
        messages: [{
          key: headers['parley-request-id'],
          value: JSON.stringify(word),
          headers: { 'parley-part': `${n}`, 'parley-final': `${n === words.length - 1}` },
        }],
      })
    }
  },
})
