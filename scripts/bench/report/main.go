// Command report reads what the rounds of a benchmark measured, one JSON
// object a line, and writes it as Markdown. It fails when anything was lost or
// wrong, so that nobody quotes the numbers of a broken run.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"parley/cmd/parley/bench"
)

// idle is what one server takes for a session that does nothing: see ../idle.
type idle struct {
	Name     string  `json:"name"`
	Sessions int     `json:"idle_sessions"`
	RSS      float64 `json:"rss_per_session"`
	Go       float64 `json:"inuse_per_session"`
}

func main() {
	var r report
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() {
		if err := r.add(input.Bytes()); err != nil {
			log.Fatalf("report: %v: %s", err, input.Text())
		}
	}
	if err := input.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Print(r.markdown())
	if len(r.failures()) > 0 {
		os.Exit(1)
	}
}

// report is all that was measured, in the order of measuring.
type report struct {
	loads []*bench.Result
	idles []idle
}

func (r *report) add(line []byte) error {
	var i idle
	if err := json.Unmarshal(line, &i); err != nil {
		return err
	}
	if i.Sessions > 0 {
		r.idles = append(r.idles, i)
		return nil
	}
	result := &bench.Result{}
	if err := json.Unmarshal(line, result); err != nil {
		return err
	}
	r.loads = append(r.loads, result)
	return nil
}

// failures tells of every run that lost something or got something wrong.
func (r *report) failures() (all []string) {
	for _, l := range r.loads {
		if l.Failed() {
			all = append(all, fmt.Sprintf("%s, %s: %d of %d answered, wrong %d, stray %d, missing %d, unsent %d, errors %v",
				l.Name, loadOf(l), l.Answered, l.Sent, l.Wrong, l.Stray, l.Missing, l.Unsent, l.Errors))
		}
	}
	return all
}
