package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Config is how to reach Kafka. It is not changed once it is in use.
type Config struct {
	Brokers  []string    // host:port, any of the cluster's
	ClientID string      // of producers and of administration; "parley" where empty
	TLS      *tls.Config // nil for plain text
	SASL     *SASL       // nil for none
	Log      *slog.Logger
	Hooks    []kgo.Hook // franz-go's own, for metrics

	dial func(ctx context.Context, network, address string) (net.Conn, error) // nil but in tests
}

// SASL is who to be.
type SASL struct {
	Mechanism string // PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	User      string // not used by OAUTHBEARER
	// Secret answers the password, or the token. It is asked anew at each
	// authentication, so that a rotated secret needs no restart.
	Secret func(context.Context) (string, error)
}

// Mechanisms are the names that SASL.Mechanism may have.
var Mechanisms = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"}

// mechanism is the franz-go side of s.
func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s.Secret == nil {
		return nil, errors.New("sasl: there is no secret")
	}
	login := func(ctx context.Context) (scram.Auth, error) {
		pass, err := s.Secret(ctx)
		if err != nil {
			err = fmt.Errorf("sasl: read the secret: %w", err)
		}
		return scram.Auth{User: s.User, Pass: pass}, err
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Plain(func(ctx context.Context) (plain.Auth, error) {
			a, err := login(ctx)
			return plain.Auth{User: a.User, Pass: a.Pass}, err
		}), nil
	case "SCRAM-SHA-256":
		return scram.Sha256(login), nil
	case "SCRAM-SHA-512":
		return scram.Sha512(login), nil
	case "OAUTHBEARER":
		return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
			a, err := login(ctx)
			return oauth.Auth{Token: a.Pass}, err
		}), nil
	}
	return nil, fmt.Errorf("sasl: mechanism %q is none of %v", s.Mechanism, Mechanisms)
}

// idleConnection is how long an unused connection is kept: less than the ten
// minutes after which brokers close theirs, and long enough that a quiet
// gateway's next request need not connect anew.
const idleConnection = 9 * time.Minute

// Client makes a franz-go client for the packages below this one. It does not
// connect.
func (c Config) Client(more ...kgo.Opt) (*kgo.Client, error) { return c.client(more...) }

// client makes a franz-go client. It does not connect.
func (c Config) client(more ...kgo.Opt) (*kgo.Client, error) {
	if len(c.Brokers) == 0 {
		return nil, errors.New("there are no brokers")
	}
	id := c.ClientID
	if id == "" {
		id = "parley"
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(id),
		kgo.SoftwareNameAndVersion("parley", "v1"),
		kgo.WithLogger(logger{c.log()}),
		kgo.WithHooks(c.Hooks...),
		kgo.ConnIdleTimeout(idleConnection),
		kgo.RetryBackoffFn(backoff),
		// Topics grow and leaders move. A refresh that an error asks for need not
		// wait long, since it is what ends an outage.
		kgo.MetadataMaxAge(30 * time.Second),
		kgo.MetadataMinAge(200 * time.Millisecond),
	}
	if c.dial != nil {
		opts = append(opts, kgo.Dialer(c.dial))
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	if c.SASL != nil {
		m, err := c.SASL.mechanism()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.SASL(m))
	}
	return kgo.NewClient(append(opts, more...)...)
}

// backoff is shorter than franz-go's own, which reaches 5 s: a broker that
// comes back should be noticed within one.
func backoff(tries int) time.Duration {
	return min(50*time.Millisecond<<min(tries, 5), time.Second)
}

func (c Config) log() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// logger hands franz-go's lines to slog, all of them for debugging: during an
// outage it tells of every try of every connection, and what matters to a person
// is said once in this package's own lines.
type logger struct{ to *slog.Logger }

func (l logger) Level() kgo.LogLevel {
	if l.to.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

func (l logger) Log(level kgo.LogLevel, msg string, fields ...any) {
	l.to.Debug("kafka client: "+msg, append(fields, "client_level", level.String())...)
}
