package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// options are what a run is told.
type options struct {
	parley  string
	tagged  string   // the same, built with the tag defects
	scripts string   // the folder of scripts/kafka and scripts/redis
	into    string   // the file whose report is to be replaced
	keep    string   // the folder for histories and logs of a run that failed
	defect  string   // that the nodes have; "" for a build that knows none
	planted []defect // to be tried one after another
	only    string
	seed    uint64

	nodes    int
	brokers  int
	sentinel bool // Redis has a replica, and Sentinels that watch both
	sessions int
	rate     int
	mixed    time.Duration
	history  int
	within   time.Duration // no fault is begun later; 0 for no such limit
	slack    time.Duration // that a reply may take besides the fault's own time, before it need not be in time
	patience time.Duration // that requests have beyond that
	short    bool
	full     bool
	alone    bool // faults are done alone first
	thin     bool
}

// fullWithin leaves a full run the time to mix faults, and to end within 40 minutes.
const fullWithin = 35 * time.Minute

// parseOptions reads the command line.
func parseOptions(args []string) (*options, error) {
	o := &options{nodes: 3, slack: 6 * time.Second, patience: 10 * time.Second}
	var planted string
	var all bool
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.StringVar(&o.parley, "parley", "", "`file` of the binary under test (default: built from here)")
	f.StringVar(&o.scripts, "scripts", "", "`folder` of the scripts kafka and redis (default: found from here)")
	f.StringVar(&o.keep, "keep", "", "keep histories and logs in this `folder` (default: only those of a run that fails)")
	f.StringVar(&planted, "defect", "", "plant the defect of this `name`, do the faults that show it, and fail if the judge does not find it")
	f.BoolVar(&all, "defects", false, "do that with every defect, and with none")
	f.StringVar(&o.into, "into", "", "put the table into this `file` too, between <!-- chaos --> and <!-- /chaos -->, or for defects <!-- defects --> and <!-- /defects -->")
	f.StringVar(&o.only, "only", "", "do only the faults whose names contain one of these `words`, separated by commas")
	f.Uint64Var(&o.seed, "seed", 0, "of all that is random (default: random)")
	f.IntVar(&o.sessions, "sessions", 200, "clients (--full: 500)")
	f.IntVar(&o.rate, "rate", 500, "requests a second, of all clients together (--full: 1000)")
	f.IntVar(&o.brokers, "brokers", 0, "Kafka's; with three or more, everything is on three of them (default: 1, --full: 3)")
	f.BoolVar(&o.sentinel, "sentinel", false, "give Redis a replica, and three Sentinels (--full does)")
	f.DurationVar(&o.mixed, "mixed", 0, "how long to mix faults, after each has been done alone, or only that (--full: 3m)")
	f.DurationVar(&o.within, "within", 0, "begin no fault after so long; those that are left out are named (--full: 35m; default: do all)")
	f.IntVar(&o.history, "history", 4_000_000, "events that a history may have; the load ends when it is full")
	f.BoolVar(&o.short, "short", false, "one round of the most important faults: about three minutes")
	f.BoolVar(&o.full, "full", false, "all faults and rounds, then mixed; every way of recovery must have been taken")
	f.BoolVar(&o.thin, "thin", false, "use this program's own client instead of the bundled one")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	o.brokers = max(o.brokers, 1)
	if o.full {
		o.fill(f)
	}
	if o.full && o.within == 0 {
		o.within = fullWithin
	}
	if all {
		planted = "all"
	}
	o.alone = o.short || o.full || o.only != ""
	if planted == "" && (o.short && o.full || !o.alone && o.mixed == 0) {
		return nil, fmt.Errorf("say --short, --full, --only WORDS, --mixed DURATION, --defect NAME or --defects")
	}
	if o.brokers == 2 {
		return nil, fmt.Errorf("--brokers 2: want 1, or 3 and more, of which one can be lost")
	}
	if o.seed == 0 {
		o.seed = rand.Uint64N(1_000_000_000)
	}
	return o, o.plant(f, planted)
}

// fill sets what a full run has more of, unless it was given.
func (o *options) fill(flags *flag.FlagSet) {
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for _, d := range []struct {
		name string
		at   *int
		than int
	}{{"sessions", &o.sessions, 500}, {"rate", &o.rate, 1000}, {"brokers", &o.brokers, 3}} {
		if !given[d.name] {
			*d.at = d.than
		}
	}
	if !given["mixed"] {
		o.mixed = 3 * time.Minute
	}
	o.sentinel = true
}

// plant makes the run one that tries defects, unless word is empty.
func (o *options) plant(given *flag.FlagSet, word string) (err error) {
	if word == "" {
		return nil
	}
	if o.parley != "" {
		return fmt.Errorf("--parley and defects do not go together: they need a build of their own")
	}
	o.planted, err = defectsNamed(word)
	o.slack, o.patience = defectSlack, defectPatience
	sessions, rate := defectSessions, defectRate
	given.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "sessions":
			sessions = o.sessions
		case "rate":
			rate = o.rate
		}
	})
	o.sessions, o.rate = sessions, rate
	return err
}

// complete finds what was not given, and builds what is not there.
func (o *options) complete(dir string) error {
	if o.scripts == "" {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
		if err != nil {
			return fmt.Errorf("find the scripts: %w", err)
		}
		o.scripts = filepath.Join(strings.TrimSpace(string(out)), "scripts")
	}
	var err error
	if o.scripts, err = filepath.Abs(o.scripts); err != nil {
		return err
	}
	if o.parley != "" {
		o.parley, err = filepath.Abs(o.parley)
		return err
	}
	o.parley, o.tagged = filepath.Join(dir, "parley"), filepath.Join(dir, "parley-tagged")
	some := o.chosen()
	if len(some) == 0 {
		return fmt.Errorf("no fault has %q in its name", o.only)
	}
	err = o.build(o.parley)
	if len(o.planted) > 0 || o.binary(some...) == o.tagged {
		err = errors.Join(err, o.build(o.tagged, "-tags", "defects"))
	}
	return err
}

// build builds Parley into a file, with some flags.
func (o *options) build(file string, flags ...string) error {
	args := append([]string{"build", "-o", file}, flags...)
	build := exec.Command("go", append(args, "./cmd/parley")...)
	build.Dir, build.Stderr = filepath.Dir(o.scripts), os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build parley: %w", err)
	}
	return nil
}

// binary is what nodes run that have these faults.
func (o *options) binary(some ...fault) string {
	if o.defect != "" || slices.ContainsFunc(some, func(f fault) bool { return f.tagged }) {
		return o.tagged
	}
	return o.parley
}

// chosen are the faults of this run.
func (o *options) chosen() (some []fault) {
	for _, f := range faults {
		wanted := o.only == "" && (!o.short || f.short)
		for word := range strings.SplitSeq(o.only, ",") {
			wanted = wanted || word != "" && strings.Contains(f.name, word)
		}
		if wanted && f.possible(o) {
			f.rounds = max(f.rounds, 1)
			if o.short {
				f.rounds = 1
			}
			some = append(some, f)
		}
	}
	return some
}
