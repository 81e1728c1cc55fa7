package table

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"parley/routing"
)

const (
	nodesKey = "parley:nodes"

	// These share the slot of nodesKey.
	membersKey  = "{parley:nodes}:members"
	removedKey  = "{parley:nodes}:removed"
	gravesKey   = "{parley:nodes}:graves"
	departedKey = "{parley:nodes}:departed"
	restatedKey = "{parley:nodes}:restated"
	linesKey    = "{parley:nodes}:lines"
)

func sessionKey(id routing.SessionID) string    { return "parley:{" + string(id) + "}" }
func heldKey(id routing.SessionID) string       { return "parley:{" + string(id) + "}:held" }
func inboxKey(node routing.NodeID) string       { return "parley:inbox:" + string(node) }
func rowField(n uint64) string                  { return "r:" + strconv.FormatUint(n, 10) }
func nodeKeys() []string                        { return []string{nodesKey, membersKey} }
func sessionKeys(id routing.SessionID) []string { return []string{sessionKey(id), heldKey(id)} }

func leaseKeys() []string {
	return []string{nodesKey, membersKey, removedKey, gravesKey, departedKey, restatedKey, linesKey}
}

// rowTime is how a row's deadline is written: UTC, to the millisecond.
const rowTime = "2006-01-02T15:04:05.000Z"

// The suffixes of a row's service say what its client wants besides the reply. A
// release that knows none of them takes them for a part of the service's name, which
// is all that it gets wrong.
const (
	wantTrace   = ";trace"
	wantHeaders = ";headers"
)

// rowText is the value of a row's field: service (and behind an @ the kept request
// that it follows), deadline by Redis's clock, digest (and behind an @
// what the event that is waited for must be about, and progress, of a stream:
// parts;topic/partition/offset), and the client
// id, which stands last as it may contain anything.
func rowText(row routing.Row, deadline time.Time) string {
	text := make([]byte, 0, len(row.Service)+len(wantTrace)+len(wantHeaders)+len(row.ClientID)+len(rowTime)+19)
	text = append(text, row.Service...)
	if row.Follows != "" {
		text = append(append(text, '@'), row.Follows...)
	}
	if row.WantTrace {
		text = append(text, wantTrace...)
	}
	if row.WantHeaders {
		text = append(text, wantHeaders...)
	}
	text = append(text, ' ')
	text = deadline.UTC().AppendFormat(text, rowTime)
	text = append(text, ' ')
	for shift := 60; shift >= 0; shift -= 4 {
		text = append(text, "0123456789abcdef"[row.Digest>>shift&15])
	}
	if row.Entity != "" {
		text = append(append(text, '@'), url.QueryEscape(row.Entity)...)
	}
	if row.Had != nil {
		text = strconv.AppendInt(append(text, ';'), int64(row.Had.Parts), 10)
		if row.Had.Said > 0 {
			text = strconv.AppendInt(append(text, '+'), int64(row.Had.Said), 10)
		}
		text = append(append(text, ';'), row.Had.Newest.Topic...)
		text = strconv.AppendInt(append(text, '/'), int64(row.Had.Newest.Partition), 10)
		text = strconv.AppendInt(append(text, '/'), row.Had.Newest.Offset, 10)
	}
	text = append(append(text, ' '), row.ClientID...)
	return string(text)
}

// errRow is what parseRow answers to text that rowText did not write.
var errRow = errors.New("not a row")

// parseRow undoes rowField and rowText.
func parseRow(session routing.SessionID, field, text string) (routing.Row, error) {
	number, ok := strings.CutPrefix(field, "r:")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return routing.Row{}, errRow
	}
	service, rest, _ := strings.Cut(text, " ")
	service, headers := strings.CutSuffix(service, wantHeaders)
	service, trace := strings.CutSuffix(service, wantTrace)
	service, follows, _ := strings.Cut(service, "@")
	when, rest, _ := strings.Cut(rest, " ")
	digits, clientID, ok := strings.Cut(rest, " ")
	digits, progress, streamed := strings.Cut(digits, ";")
	digits, entity, _ := strings.Cut(digits, "@")
	about, wrong := url.QueryUnescape(entity)
	digest, bad := strconv.ParseUint(digits, 16, 64)
	deadline, err := time.Parse(rowTime, when)
	if !ok || bad != nil || wrong != nil || err != nil {
		return routing.Row{}, errRow
	}
	row := routing.Row{
		Session: session, N: n, Service: service, ClientID: clientID, Digest: digest, Deadline: deadline, Follows: routing.RequestID(follows), Entity: about,
		WantTrace: trace, WantHeaders: headers,
	}
	if streamed {
		if row.Had = parseProgress(progress); row.Had == nil {
			return routing.Row{}, errRow
		}
	}
	return row, nil
}

// parseProgress reads "<parts>[+<said>];<topic>/<partition>/<offset>"; nil where it is
// none.
func parseProgress(text string) *routing.Progress {
	count, place, _ := strings.Cut(text, ";")
	topic, rest, _ := strings.Cut(place, "/")
	partition, offset, _ := strings.Cut(rest, "/")
	count, more, found := strings.Cut(count, "+")
	parts, err := strconv.ParseUint(count, 10, 31)
	said, errSaid := strconv.ParseUint(more, 10, 31)
	p, errP := strconv.ParseInt(partition, 10, 32)
	at, errAt := strconv.ParseInt(offset, 10, 64)
	if err != nil || found && errSaid != nil || errP != nil || errAt != nil {
		return nil
	}
	return &routing.Progress{Parts: int(parts), Said: int(said), Newest: routing.RecordAt{Topic: topic, Partition: int32(p), Offset: at}}
}
