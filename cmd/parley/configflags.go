package main

import "strings"

// flagValue is a flag as it stands on a command line.
type flagValue struct{ name, text string }

// parseFlags reads --name value, --name=value and, for switches, --name alone.
// kind tells of a name whether it is a switch, and whether it is known at all;
// unknown makes what is said of one that is not. help is true when -h or --help
// is among args.
func parseFlags(args []string, kind func(name string) (isSwitch, known bool), unknown func(name string) string) (values []flagValue, bad problems, help bool) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, text, hasText := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
		if !strings.HasPrefix(arg, "-") || name == "" {
			bad.add("", "", "%q is not a flag: want --name value", arg)
			continue
		}
		if name == "h" || name == "help" {
			return nil, nil, true
		}
		isSwitch, known := kind(name)
		if !hasText && !isSwitch && len(args) > 0 && !strings.HasPrefix(args[0], "--") {
			text, hasText, args = args[0], true, args[1:]
		}
		switch {
		case !known:
			bad.add("--"+name, "", "%s", unknown(name))
		case hasText:
			values = append(values, flagValue{name, text})
		case isSwitch:
			values = append(values, flagValue{name, "true"})
		default:
			bad.add("--"+name, "", "has no value: want --%s value", name)
		}
	}
	return values, bad, false
}

// lastFlag answers the value of a flag that stands last, "" where there is none.
func lastFlag(values []flagValue, name string) (text string) {
	for _, v := range values {
		if v.name == name {
			text = v.text
		}
	}
	return text
}

// configFlag names the flag of the configuration's file.
const configFlag = "config"

// settingFlag is parseFlags' kind for the keys of the configuration.
func settingFlag(name string) (isSwitch, known bool) {
	s, ok := findKey(name)
	return s.typ != nil && s.isSwitch(), ok || name == configFlag
}

// unknownSetting is parseFlags' unknown for the keys of the configuration.
func unknownSetting(name string) string {
	return "is not a flag: " + didYouMean("--", suggest(name), "-h lists them")
}

// flags applies the flags that are keys.
func (l *loader) flags(values []flagValue) {
	for _, v := range values {
		if v.name != configFlag {
			l.apply(given{from: "--" + v.name, key: v.name, text: v.text})
		}
	}
}
