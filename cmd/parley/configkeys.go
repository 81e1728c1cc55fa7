package main

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// setting is one key of the configuration: one field that holds a value.
type setting struct {
	key  string // dotted, as in kafka.brokers
	help string
	path []int // to the field, for reflect
	typ  reflect.Type
}

// The keys, in the order of the structs. Those of a service are relative to
// services.<name>.
var (
	settings        = settingsOf(reflect.TypeFor[Config](), "", nil)
	serviceSettings = settingsOf(reflect.TypeFor[ServiceConfig](), "", nil)
)

// settingsOf walks a struct. Maps are left out: the keys below them are the
// user's.
func settingsOf(t reflect.Type, prefix string, path []int) (all []setting) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, at := prefix+f.Tag.Get("key"), append(slices.Clone(path), i)
		switch f.Type.Kind() {
		case reflect.Map:
		case reflect.Struct:
			all = append(all, settingsOf(f.Type, key+".", at)...)
		default:
			all = append(all, setting{key: key, help: f.Tag.Get("help"), path: at, typ: f.Type})
		}
	}
	return all
}

// find answers the setting of a key.
func find(in []setting, key string) (setting, bool) {
	i := slices.IndexFunc(in, func(s setting) bool { return s.key == key })
	if i < 0 {
		return setting{}, false
	}
	return in[i], true
}

// findKey answers the setting of a whole key, also of one below services.
func findKey(key string) (setting, bool) {
	if _, rest, ok := cutService(key); ok {
		return find(serviceSettings, rest)
	}
	return find(settings, key)
}

// section answers whether keys lie below a key, as below kafka.
func section(in []setting, key string) bool {
	return slices.ContainsFunc(in, func(s setting) bool { return strings.HasPrefix(s.key, key+".") })
}

// servicesPrefix is what the keys of services start with.
const servicesPrefix = "services."

// cutService takes services.<name>.<rest> apart. Names may have dots: the rest
// is the longest that is a key of services.
func cutService(key string) (name, rest string, ok bool) {
	below, _ := strings.CutPrefix(key, servicesPrefix)
	if below == key {
		return "", "", false
	}
	for _, s := range serviceSettings {
		if n, found := strings.CutSuffix(below, "."+s.key); found && n != "" && len(s.key) > len(rest) {
			name, rest = n, s.key
		}
	}
	return name, rest, rest != ""
}

// in answers the setting's value in a Config or a ServiceConfig, given by
// pointer.
func (s setting) in(config any) reflect.Value {
	return reflect.ValueOf(config).Elem().FieldByIndex(s.path)
}

// isList answers whether the setting holds several values.
func (s setting) isList() bool { return s.typ.Kind() == reflect.Slice }

// isSwitch answers whether the setting is true or false.
func (s setting) isSwitch() bool { return s.typ.Kind() == reflect.Bool }

// secret answers whether the setting's value must not be shown.
func (s setting) secret() bool {
	return s.typ == reflect.TypeFor[Secret]() || s.typ == reflect.TypeFor[SecretURL]()
}

// kind says in a word what the setting holds.
func (s setting) kind() string {
	switch {
	case s.typ == reflect.TypeFor[Duration]():
		return "duration"
	case s.typ == reflect.TypeFor[Size]():
		return "size"
	case s.isSchema():
		return "schema"
	case s.isRules():
		return "rules"
	case s.isConditions():
		return "conditions"
	case s.isList():
		return "list"
	case s.isSwitch():
		return "bool"
	case s.typ.Kind() == reflect.Int:
		return "number"
	}
	return "text"
}

// example says what may be written for the setting.
func (s setting) example() string {
	switch s.kind() {
	case "duration":
		return "a duration such as 30s"
	case "size":
		return "a size such as 64KiB"
	case "schema":
		return "a JSON Schema, or the name of its file"
	case "rules":
		return "expressions by topic, such as {orders.events: subject == \"ann\"}"
	case "conditions":
		return "conditions by name such as {done: event.state == \"DONE\"}"
	case "list":
		return "a list such as [a, b]"
	case "bool":
		return "true or false"
	case "number":
		return "a whole number"
	}
	return "text"
}

// set reads a value into the setting of a Config or a ServiceConfig. The error
// says what is wrong with the text, without naming key or text.
func (s setting) set(config any, text string) error {
	v := s.in(config)
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch v.Kind() {
	case reflect.Slice:
		v.Set(reflect.ValueOf(splitList(text)))
	case reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("is not allowed: want true or false")
		}
		v.SetBool(text == "true")
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return errors.New("is not a whole number")
		}
		v.SetInt(int64(n))
	case reflect.String:
		v.SetString(text)
	default:
		panic(fmt.Sprintf("configuration: %s has a type that cannot be set: %s", s.key, s.typ))
	}
	return nil
}

// splitList reads a list by comma; empty parts are left out.
func splitList(text string) (parts []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

// setList puts a list into a setting that is one.
func (s setting) setList(config any, list []string) { s.in(config).Set(reflect.ValueOf(list)) }

// shown is what is told of a text that was given for the setting.
func (s setting) shown(text string) string {
	switch {
	case s.typ == reflect.TypeFor[SecretURL]():
		text = SecretURL(text).String()
	case s.secret():
		text = Secret(text).String()
	}
	return quoted(text)
}

// texts answers the setting's value as it would be written, secrets masked: one
// text, or those of a list.
func (s setting) texts(config any) []string {
	v := s.in(config)
	if s.isList() {
		return v.Interface().([]string)
	}
	return []string{fmt.Sprint(v.Interface())}
}

// envName answers the name of a key in the environment.
func envName(key string) string { return envPrefix + capitals(key) }

const envPrefix = "PARLEY_"

// capitals turns a key, or a part of one, into what it is called in the
// environment.
func capitals(key string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(key))
}
