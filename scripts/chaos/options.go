package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// options are what a run is told.
type options struct {
	parley  string
	scripts string // the folder of scripts/kafka and scripts/redis
	keep    string // the folder for histories and logs of a run that failed
	defect  string
	only    string
	seed    uint64

	nodes    int
	sessions int
	rate     int
	mixed    time.Duration
	history  int
	short    bool
	full     bool
	thin     bool
}

// parseOptions reads the command line.
func parseOptions(args []string) (*options, error) {
	o := &options{nodes: 3}
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.StringVar(&o.parley, "parley", "", "`file` of the binary under test (default: built from here)")
	f.StringVar(&o.scripts, "scripts", "", "`folder` of the scripts kafka and redis (default: found from here)")
	f.StringVar(&o.keep, "keep", "", "keep histories and logs in this `folder` (default: only those of a run that fails)")
	f.StringVar(&o.defect, "defect", "", "start the nodes with PARLEY_DEFECT=`name`: the run should fail")
	f.StringVar(&o.only, "only", "", "do only the faults whose names contain one of these `words`, separated by commas")
	f.Uint64Var(&o.seed, "seed", 0, "of all that is random (default: random)")
	f.IntVar(&o.sessions, "sessions", 200, "clients")
	f.IntVar(&o.rate, "rate", 500, "requests a second, of all clients together")
	f.DurationVar(&o.mixed, "mixed", 0, "how long to mix faults after each has been done alone (--full: 3m)")
	f.IntVar(&o.history, "history", 4_000_000, "events that a history may have; the load ends when it is full")
	f.BoolVar(&o.short, "short", false, "one round of the most important faults: two to three minutes")
	f.BoolVar(&o.full, "full", false, "all faults and rounds, then mixed; every way of recovery must have been taken")
	f.BoolVar(&o.thin, "thin", false, "use this program's own client instead of the bundled one")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.full && o.mixed == 0 {
		o.mixed = 3 * time.Minute
	}
	if o.short == o.full && o.only == "" {
		return nil, fmt.Errorf("say --short, --full, or --only WORDS")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000_000)
	}
	return o, nil
}

// complete finds what was not given, and builds what is not there.
func (o *options) complete(dir string) error {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	root := strings.TrimSpace(string(out))
	if o.scripts == "" {
		if err != nil {
			return fmt.Errorf("find the scripts: %w", err)
		}
		o.scripts = filepath.Join(root, "scripts")
	}
	if o.parley != "" {
		o.parley, err = filepath.Abs(o.parley)
		return err
	}
	o.parley = filepath.Join(dir, "parley")
	build := exec.Command("go", "build", "-o", o.parley, "./cmd/parley")
	build.Dir, build.Stderr = root, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build parley: %w", err)
	}
	return nil
}

// chosen are the faults of this run.
func (o *options) chosen() (some []fault) {
	for _, f := range faults {
		wanted := o.only == "" && (!o.short || f.short)
		for word := range strings.SplitSeq(o.only, ",") {
			wanted = wanted || word != "" && strings.Contains(f.name, word)
		}
		if wanted {
			f.rounds = max(f.rounds, 1)
			if o.short {
				f.rounds = 1
			}
			some = append(some, f)
		}
	}
	return some
}
