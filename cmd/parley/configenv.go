package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// configVariable names the file where there is no --config.
const configVariable = envPrefix + "CONFIG"

// notOurs are variables that are not keys: those of the scripts and tests of this
// repository, what `parley dev` tells its nodes, and Kubernetes, which describes a service called parley to
// every pod beside it (PARLEY_SERVICE_HOST=…, PARLEY_PORT=tcp://…).
var notOurs = regexp.MustCompile(`^PARLEY_((CONFIG|KAFKA|REDIS|(TEST|BENCH|DEV)(_\w+)?)=|` +
	`(\w+_)?(SERVICE_HOST=|SERVICE_PORT(_\w+)?=|PORT=\w+://|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?=))`)

// splitEnviron answers Parley's variables.
func splitEnviron(environ []string) map[string]string {
	variables := make(map[string]string)
	for _, v := range environ {
		if name, text, ok := strings.Cut(v, "="); ok && strings.HasPrefix(name, envPrefix) {
			variables[name] = text
		}
	}
	return variables
}

// environ applies the variables that are keys. The flags are asked for the
// services that they name.
func (l *loader) environ(variables map[string]string, flags []flagValue) {
	keys := make(map[string]string) // by variable
	for _, s := range settings {
		keys[envName(s.key)] = s.key
	}
	services := slices.Collect(maps.Keys(l.config.Services))
	for _, f := range flags {
		if name, _, ok := cutService(f.name); ok && !slices.Contains(services, name) {
			services = append(services, name)
		}
	}
	for _, variable := range slices.Sorted(maps.Keys(variables)) {
		key := keys[variable]
		switch below, isService := strings.CutPrefix(variable, envName(servicesPrefix)); {
		case key != "":
		case isService:
			key = l.serviceVariable(variable, below, services)
		case !notOurs.MatchString(variable + "=" + variables[variable]):
			l.problems.add(variable, "", "is not a key: %s", didYouMean("", suggestVariable(variable), "parley serve -h lists them"))
		}
		if key != "" {
			l.apply(given{from: variable, key: key, text: variables[variable]})
		}
	}
}

// serviceVariable answers the key that a variable stands for whose name ends in
// <NAME>_<KEY>, or "", having told why. Capitals leave open how a name is
// spelt: it is that of a known service that reads so, or else a new one in
// small letters.
func (l *loader) serviceVariable(variable, below string, services []string) string {
	var known []string        // keys of known services
	var fresh, longest string // key of a new one: with the longest rest
	var rests []string        // all that may follow the name
	for _, s := range serviceSettings {
		rests = append(rests, capitals(s.key))
		name, ok := strings.CutSuffix(below, "_"+capitals(s.key))
		if !ok || name == "" {
			continue
		}
		for _, service := range services {
			if capitals(service) == name {
				known = append(known, servicesPrefix+service+"."+s.key)
			}
		}
		if len(s.key) > len(longest) {
			longest, fresh = s.key, servicesPrefix+strings.ToLower(name)+"."+s.key
		}
	}
	switch {
	case len(known) == 1:
		return known[0]
	case len(known) > 1:
		slices.Sort(known)
		l.problems.add(variable, "", "is ambiguous: set %s by a flag or in the file", either(known))
		return ""
	case fresh == "":
		l.problems.add(variable, "", "is not a key: want %s<NAME>_ and %s", envName(servicesPrefix), either(rests))
	}
	return fresh
}
