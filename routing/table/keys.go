package table

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"parley/routing"
)

const (
	nodesKey   = "parley:nodes"
	membersKey = "{parley:nodes}:members" // shares the slot of nodesKey
)

func sessionKey(id routing.SessionID) string    { return "parley:{" + string(id) + "}" }
func heldKey(id routing.SessionID) string       { return "parley:{" + string(id) + "}:held" }
func inboxKey(node routing.NodeID) string       { return "parley:inbox:" + string(node) }
func rowField(n uint64) string                  { return "r:" + strconv.FormatUint(n, 10) }
func nodeKeys() []string                        { return []string{nodesKey, membersKey} }
func sessionKeys(id routing.SessionID) []string { return []string{sessionKey(id), heldKey(id)} }

// rowTime is how a row's deadline is written: UTC, to the millisecond.
const rowTime = "2006-01-02T15:04:05.000Z"

// rowText is the value of a row's field. The client id stands last, as it may
// contain anything.
func rowText(row routing.Row) string {
	text := make([]byte, 0, len(row.Service)+len(row.ClientID)+len(rowTime)+2)
	text = append(append(text, row.Service...), ' ')
	text = row.Deadline.UTC().AppendFormat(text, rowTime)
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
	when, clientID, ok := strings.Cut(rest, " ")
	deadline, err := time.Parse(rowTime, when)
	if !ok || err != nil {
		return routing.Row{}, errRow
	}
	return routing.Row{Session: session, N: n, Service: service, ClientID: clientID, Deadline: deadline}, nil
}
