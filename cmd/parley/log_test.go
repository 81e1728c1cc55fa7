package main

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

// Machines get JSON, people colours unless they refuse them, and both get what
// is at least as grave as the level.
func TestLogger(t *testing.T) {
	for _, c := range []struct {
		story, format string
		terminal      bool
		noColor       string
		is            func(line string) bool
	}{
		{"auto in a file", "auto", false, "", isJSON},
		{"json at a terminal", "json", true, "", isJSON},
		{"auto at a terminal", "auto", true, "", func(l string) bool { return strings.Contains(l, "\x1b[") && strings.Contains(l, "it broke") }},
		{"auto at a terminal, NO_COLOR", "auto", true, "1", func(l string) bool { return !strings.Contains(l, "\x1b[") && strings.Contains(l, "WRN it broke") }},
		{"text in a file", "text", false, "", func(l string) bool { return strings.Contains(l, `level=WARN msg="it broke" why=yes`) }},
		{"text at a terminal", "text", true, "1", func(l string) bool { return strings.Contains(l, "WRN it broke why=yes") }},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		var out strings.Builder
		log := newLogger(LogConfig{Level: "warn", Format: c.format}, &out, c.terminal)
		log.Info("not told")
		log.Warn("it broke", "why", "yes", "secret", Secret("hunter2"), "config", SASLConfig{Password: "hunter2"})
		if !c.is(out.String()) || strings.Contains(out.String(), "not told") || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s: got %q", c.story, out.String())
		}
		if strings.Contains(out.String(), "hunter2") {
			t.Errorf("%s: a secret is shown: %s", c.story, out.String())
		}
	}
	for level, want := range map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError} {
		log := newLogger(LogConfig{Level: level, Format: "json"}, &strings.Builder{}, false)
		if log.Enabled(t.Context(), want-1) || !log.Enabled(t.Context(), want) {
			t.Errorf("%s is not kept to", level)
		}
	}
}

func isJSON(line string) bool {
	var record struct{ Level, Msg, Why string }
	return json.Unmarshal([]byte(line), &record) == nil && record.Level == "WARN" && record.Msg == "it broke" && record.Why == "yes"
}
