package main

import (
	"cmp"
	"context"
	"log/slog"

	"parley/kafka"
)

// connection answers how Kafka is spoken to. It reads TLS files, but no secrets:
// those are read at each authentication.
func (c KafkaConfig) connection(log *slog.Logger) (kafka.Config, error) {
	tls, err := c.TLS.config()
	if err != nil {
		return kafka.Config{}, err
	}
	return kafka.Config{Brokers: c.Brokers, ClientID: c.ClientID, TLS: tls, SASL: c.SASL.login(), Log: log}, nil
}

// login answers how this node proves to Kafka who it is, nil for not at all.
func (c SASLConfig) login() *kafka.SASL {
	if c.Mechanism == "" {
		return nil
	}
	secret, file := cmp.Or(c.Password, c.Token), cmp.Or(c.PasswordFile, c.TokenFile)
	return &kafka.SASL{
		Mechanism: c.Mechanism, User: c.User,
		Secret: func(context.Context) (string, error) { return reveal(secret, file) },
	}
}
