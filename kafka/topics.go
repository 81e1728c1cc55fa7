package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Topic is a topic that the gateway needs.
type Topic struct {
	Name        string
	Partitions  int32         // -1 or 0: the broker's default
	Replication int16         // -1 or 0: the broker's default
	Retention   time.Duration // 0: the broker's default
	Compact     bool          // keep the newest record of each key for ever
	// RecordBytes is the largest record that the topic must accept, its headers
	// included. 0: the broker's default.
	RecordBytes int
}

// Limits are the largest record batches that topics accept, by name: their
// max.message.bytes. A topic that is not in it is taken to have Kafka's default.
type Limits map[string]int

// defaultLimit is Kafka's default of max.message.bytes.
const defaultLimit = 1048588

// Of is the limit of a topic.
func (l Limits) Of(topic string) int {
	if n := l[topic]; n > 0 {
		return n
	}
	return defaultLimit
}

// MissingTopicsError says that topics are not there, and that nobody asked for
// them to be made. Any other error of EnsureTopics means that Kafka could not
// be asked, or refused.
type MissingTopicsError struct{ Topics []string }

func (e *MissingTopicsError) Error() string {
	return "kafka: missing topics: " + strings.Join(e.Topics, ", ")
}

// EnsureTopics makes the topics that are missing, or answers a
// *MissingTopicsError that names them all where create is false. That another
// node makes one first is no error. A topic that is there is left as it is,
// but for a line in the log when it accepts less than it must. The limits are
// for Producer.SetLimits. It blocks until Kafka has answered or ctx ends.
func EnsureTopics(ctx context.Context, c Config, create bool, topics []Topic) (Limits, error) {
	client, err := c.client()
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	defer client.Close()
	a := admin{kadm.NewClient(client), c.log()}
	missing, err := a.missing(ctx, topics)
	if err != nil {
		return nil, fmt.Errorf("kafka: list topics: %w", err)
	}
	if len(missing) > 0 && !create {
		e := &MissingTopicsError{}
		for _, t := range missing {
			e.Topics = append(e.Topics, t.Name)
		}
		return nil, e
	}
	if err := a.create(ctx, missing); err != nil {
		return nil, err
	}
	if err := a.await(ctx, missing); err != nil {
		return nil, fmt.Errorf("kafka: wait for new topics: %w", err)
	}
	return a.limits(ctx, topics), nil
}

type admin struct {
	*kadm.Client
	log *slog.Logger
}

func (a admin) missing(ctx context.Context, topics []Topic) (missing []Topic, err error) {
	details, err := a.ListTopics(ctx, names(topics)...)
	if err != nil {
		return nil, err
	}
	for _, t := range topics {
		err := details[t.Name].Err
		switch {
		case errors.Is(err, kerr.UnknownTopicOrPartition) || !details.Has(t.Name) && err == nil:
			missing = append(missing, t)
		case err != nil && !kerr.IsRetriable(err): // a topic without a leader is there
			return nil, fmt.Errorf("%s: %w", t.Name, err)
		}
	}
	return missing, nil
}

// create makes topics, and names all that could not be made.
func (a admin) create(ctx context.Context, topics []Topic) error {
	var failed []error
	for _, t := range topics {
		made, err := a.CreateTopic(ctx, orDefault(t.Partitions), orDefault(t.Replication), t.configs(), t.Name)
		switch {
		case errors.Is(err, kerr.TopicAlreadyExists):
		case err != nil:
			failed = append(failed, fmt.Errorf("kafka: create topic %s: %w", t.Name, err))
		default:
			a.log.Info("topic created", "topic", t.Name, "partitions", made.NumPartitions)
		}
	}
	return errors.Join(failed...)
}

// await waits until the brokers know the topics that a controller has made.
func (a admin) await(ctx context.Context, made []Topic) error {
	for len(made) > 0 {
		missing, err := a.missing(ctx, made)
		if err != nil {
			return err
		}
		if made = missing; len(made) > 0 {
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func orDefault[N int16 | int32](n N) N {
	if n == 0 {
		return -1
	}
	return n
}

func (t Topic) configs() map[string]*string {
	configs := make(map[string]*string)
	if t.Retention > 0 {
		ms := strconv.FormatInt(t.Retention.Milliseconds(), 10)
		configs["retention.ms"] = &ms
		// Kafka deletes whole segments, and never the one that is being written:
		// without this, "an hour" would be the week after which a segment ends.
		configs["segment.ms"] = &ms
	}
	if t.Compact {
		policy := "compact"
		configs["cleanup.policy"] = &policy
	}
	if t.RecordBytes > 0 {
		bytes := strconv.Itoa(max(t.RecordBytes, defaultLimit))
		configs["max.message.bytes"] = &bytes
	}
	return configs
}

// limits asks what topics accept. A cluster that does not tell is taken to have
// the default: then a record that is too large is refused later, by the broker.
func (a admin) limits(ctx context.Context, topics []Topic) Limits {
	limits := make(Limits)
	described, err := a.DescribeTopicConfigs(ctx, names(topics)...)
	if err != nil {
		a.log.Warn("topic limits unknown", "err", err)
		return limits
	}
	for _, t := range described {
		for _, c := range t.Configs {
			if c.Key != "max.message.bytes" {
				continue
			}
			if n, err := strconv.Atoi(c.MaybeValue()); err == nil {
				limits[t.Name] = n
			}
		}
	}
	for _, t := range topics {
		if have := limits.Of(t.Name); have < t.RecordBytes {
			a.log.Warn("topic accepts smaller records than the gateway", "topic", t.Name,
				"setting", "max.message.bytes", "is", have, "wanted", t.RecordBytes)
		}
	}
	return limits
}

func names(topics []Topic) []string {
	all := make([]string, len(topics))
	for i, t := range topics {
		all[i] = t.Name
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// partitions asks how many partitions a topic has.
func (a admin) partitions(ctx context.Context, topic string) (int32, error) {
	details, err := a.ListTopics(ctx, topic)
	if err != nil {
		return 0, err
	}
	if err := details[topic].Err; err != nil {
		return 0, err
	}
	return int32(len(details[topic].Partitions)), nil
}
