package main

import (
	"cmp"
	"flag"
	"io"
)

// given is one key's value as somebody wrote it.
type given struct {
	from string // where: file:line, a variable, a flag
	key  string // dotted, as in kafka.brokers or services.orders.topic
	text string
	list []string // instead of text, where it was written as a list
}

// loadConfig reads a command's configuration: defaults, then the file that
// --config or PARLEY_CONFIG names, then the environment, then flags. It answers
// a valid Config or an error that tells every mistake found. With -h among
// args it writes the command's help to out and answers flag.ErrHelp.
func loadConfig(command string, args, environ []string, out io.Writer) (Config, error) {
	flags, bad, help := parseFlags(args, settingFlag, unknownSetting)
	if help {
		printHelp(out, command)
		return Config{}, flag.ErrHelp
	}
	l := loader{config: defaultConfig(), from: make(map[string]string)}
	variables := splitEnviron(environ)
	l.file(cmp.Or(lastFlag(flags, configFlag), variables[configVariable]))
	l.environ(variables, flags)
	l.problems = append(l.problems, bad...)
	l.flags(flags)
	l.config.complete()
	l.problems = append(l.problems, l.config.check(l.from)...)
	return l.config, l.problems.errOrNil()
}

// loader builds a Config from what was given, in rising order of weight.
type loader struct {
	config   Config
	from     map[string]string // by key: where it was set last
	problems problems
}

// apply sets a key that is known, over what it was before.
func (l *loader) apply(g given) {
	name, rest, ok := cutService(g.key)
	if !ok {
		s, _ := find(settings, g.key)
		l.set(g, s, &l.config)
		return
	}
	l.addService(g.from, name)
	s, _ := find(serviceSettings, rest)
	service := l.config.Services[name]
	l.set(g, s, &service)
	l.config.Services[name] = service
}

// addService makes a service known, with defaults.
func (l *loader) addService(from, name string) {
	if _, exists := l.config.Services[name]; exists {
		return
	}
	if l.config.Services == nil {
		l.config.Services = make(map[string]ServiceConfig)
	}
	l.config.Services[name] = defaultService(name)
	l.from[servicesPrefix+name] = from
}

func (l *loader) set(g given, s setting, config any) {
	l.from[g.key] = g.from
	if g.list != nil {
		s.setList(config, g.list)
	} else if err := s.set(config, g.text); err != nil {
		l.problems.add(g.from, g.key, "%s %v", s.shown(g.text), err)
	}
}
