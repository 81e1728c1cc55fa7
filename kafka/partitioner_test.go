package kafka

import (
	"hash/crc32"
	"hash/fnv"
	"math/rand/v2"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kgo"

	"parley/routing"
)

// librdkafka's own answers, by partitioner and number of partitions, for the
// keys of librdkafkaKeys in their order. They were taken from deliveries of
// confluent-kafka 2.16.1 for Python (librdkafka 2.16.0) to Apache Kafka 4.3.1.
// Its default, consistent_random, is consistent for every key but the empty one.
var librdkafka = []struct {
	name       string
	same       routing.Partitioner
	partitions int32
	want       [8]int32
}{
	{"consistent_random", routing.CRC32, 3, [8]int32{0, 1, 1, 2, 1, 1, 2, 1}},
	{"consistent_random", routing.CRC32, 7, [8]int32{4, 5, 4, 3, 1, 4, 1, 4}},
	{"consistent_random", routing.CRC32, 24, [8]int32{3, 1, 22, 14, 7, 16, 20, 16}},
	{"consistent_random", routing.CRC32, 100, [8]int32{7, 37, 42, 50, 47, 88, 44, 72}},
	{"murmur2_random", routing.Murmur2, 3, [8]int32{1, 1, 2, 2, 1, 1, 0, 1}},
	{"murmur2_random", routing.Murmur2, 7, [8]int32{5, 4, 2, 1, 0, 2, 1, 2}},
	{"murmur2_random", routing.Murmur2, 24, [8]int32{4, 1, 20, 8, 13, 1, 12, 13}},
	{"murmur2_random", routing.Murmur2, 100, [8]int32{24, 81, 72, 8, 89, 41, 32, 33}},
	{"fnv1a", routing.FNV1a, 3, [8]int32{0, 1, 0, 1, 2, 2, 0, 1}},
	{"fnv1a", routing.FNV1a, 7, [8]int32{6, 4, 4, 1, 3, 5, 2, 6}},
	{"fnv1a", routing.FNV1a, 24, [8]int32{12, 4, 6, 22, 2, 17, 18, 10}},
	{"fnv1a", routing.FNV1a, 100, [8]int32{76, 28, 78, 54, 94, 33, 54, 78}},
}

var librdkafkaKeys = [8]string{
	"a", "key", "parley", "0123456789", "AAAAAAAAAAAAAAAAAAAAAA.1abc",
	"5OeSRRR64ManRkb1jBvOOA.42xyz", "-xwURqIoVH_wStpTX85r0Q.1000000zZa", "ä€",
}

// Parley computes where librdkafka sends a key.
func TestPartitionersAgreeWithLibrdkafka(t *testing.T) {
	for _, v := range librdkafka {
		for i, key := range librdkafkaKeys {
			if got := v.same.Partition([]byte(key), v.partitions); got != v.want[i] {
				t.Errorf("%s of %q over %d: %d, librdkafka says %d", v.name, key, v.partitions, got, v.want[i])
			}
		}
	}
}

// And where franz-go and Sarama do, whatever the key.
func TestPartitionersAgreeWithGoClients(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	fnv1a := func(key []byte) uint32 {
		h := fnv.New32a()
		_, _ = h.Write(key)
		return h.Sum32()
	}
	franz := map[routing.Partitioner][]kgo.TopicPartitioner{
		routing.Murmur2: {kgo.StickyKeyPartitioner(nil).ForTopic("t"), byKey.ForTopic("t")},
		routing.FNV1a:   {kgo.StickyKeyPartitioner(kgo.SaramaCompatHasher(fnv1a)).ForTopic("t")},
	}
	standard := kgo.UniformBytesPartitioner(64<<10, true, true, nil).ForTopic("t").(kgo.TopicBackupPartitioner) // what kgo uses unless told
	hash := sarama.NewHashPartitioner("t")
	crc := sarama.NewCustomPartitioner(sarama.WithHashUnsigned(), sarama.WithCustomHashFunction(crc32.NewIEEE))("t")
	for range 20_000 {
		key := make([]byte, 1+random.IntN(60))
		for i := range key {
			key[i] = byte(random.Uint32())
		}
		n := 1 + random.Int32N(200)
		for p, clients := range franz {
			for i, client := range clients {
				if got, want := p.Partition(key, n), int32(client.Partition(&kgo.Record{Key: key}, int(n))); got != want {
					t.Fatalf("%s of %x over %d: %d, franz-go's %d says %d", p, key, n, got, i, want)
				}
			}
		}
		if got, want := routing.Murmur2.Partition(key, n), int32(standard.PartitionByBackup(&kgo.Record{Key: key}, int(n), nil)); got != want {
			t.Fatalf("murmur2 of %x over %d: %d, franz-go's default says %d", key, n, got, want)
		}
		for p, client := range map[routing.Partitioner]sarama.Partitioner{routing.FNV1a: hash, routing.CRC32: crc} {
			want, err := client.Partition(&sarama.ProducerMessage{Key: sarama.ByteEncoder(key)}, n)
			if got := p.Partition(key, n); err != nil || got != want {
				t.Fatalf("%s of %x over %d: %d, sarama says %d, %v", p, key, n, got, want, err)
			}
		}
	}
}
