package table

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"parley/routing"
)

var (
	// ErrNoSession says that the table has no such session, or no longer.
	ErrNoSession = errors.New("resume: no such session")
	// ErrNotYours says that secret or subject are not the session's, or that it
	// cannot be resumed at all.
	ErrNotYours = errors.New("resume: not the session's secret and subject")
)

// Resumed is a session that this node has taken over.
type Resumed struct {
	Epoch uint64
	// Before is the node that had it, "" for none, and BeforeBoot its process.
	Before     routing.NodeID
	BeforeBoot string
	Rows       []routing.Row
	// Held are the replies that wait for the session, oldest first. They stay in
	// Redis.
	Held []*routing.Reply
}

// Resume takes a session over for this node, with its epoch raised. s names the
// session, its subject and the SHA-256 of the secret that the client showed. It
// blocks for a round trip. Errors are ErrNoSession, ErrNotYours, or Redis's.
func (r *Redis) Resume(ctx context.Context, s routing.SessionRow) (*Resumed, error) {
	ctx, cancel := context.WithTimeout(ctx, r.o.Timeout)
	defer cancel()
	answer, err := resumeScript.Run(ctx, r.client, sessionKeys(s.ID),
		hex.EncodeToString(s.Secret), s.Subject, string(r.o.Node), r.boot, r.o.life()).Result()
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	switch a := answer.(type) {
	case int64:
		if a == 0 {
			return nil, ErrNoSession
		}
		return nil, ErrNotYours
	case []any:
		return r.resumed(s.ID, a)
	}
	return nil, fmt.Errorf("resume: the script answered %T", answer)
}

func (r *Redis) resumed(session routing.SessionID, answer []any) (*Resumed, error) {
	if len(answer) != 5 {
		return nil, fmt.Errorf("resume: the script answered %d values", len(answer))
	}
	var (
		epoch, _  = answer[0].(string)
		before, _ = answer[1].(string)
		boot, _   = answer[2].(string)
		rows, _   = answer[3].([]any)
		held, _   = answer[4].([]any)
	)
	all := &Resumed{Before: routing.NodeID(before), BeforeBoot: boot}
	if _, err := fmt.Sscan(epoch, &all.Epoch); err != nil {
		return nil, fmt.Errorf("resume: epoch %q: %w", epoch, err)
	}
	for i := 0; i+1 < len(rows); i += 2 {
		field, _ := rows[i].(string)
		text, _ := rows[i+1].(string)
		row, err := parseRow(session, field, text)
		if err != nil {
			r.refuse("resume row "+field, err)
			continue
		}
		all.Rows = append(all.Rows, row)
	}
	for _, one := range held {
		text, _ := one.(string)
		reply, err := DecodeReply([]byte(text))
		if err != nil {
			r.refuse("resume held reply", err)
			continue
		}
		all.Held = append(all.Held, reply)
	}
	return all, nil
}
