package main

import (
	"fmt"
	"io"
	"strings"
)

// printHelp writes the help of a command that reads the configuration: every
// flag with its meaning and default.
func printHelp(w io.Writer, command string) {
	fmt.Fprintf(w, `Usage: parley %s [--config FILE] [--KEY VALUE]...

Every key is set by a flag, by a variable of the environment (kafka.brokers by
PARLEY_KAFKA_BROKERS) or in the file, in falling order of weight. Lists are
separated by commas. Durations are written 250ms or 1h30m, sizes 64KiB.

`, command)
	rows := []helpRow{{"--config FILE", "the file, in YAML; or PARLEY_CONFIG"}}
	if command == "worker" {
		rows = append(rows, helpRow{"--service NAME --forward URL", "short for --services.NAME.forward URL; as often as you like"})
	}
	config := defaultConfig()
	for _, s := range settings {
		rows = append(rows, helpOf(s, "--", &config))
	}
	service := defaultService("NAME")
	for _, s := range serviceSettings {
		rows = append(rows, helpOf(s, "--"+servicesPrefix+"NAME.", &service))
	}
	printRows(w, rows)
}

// helpRow describes a flag.
type helpRow struct{ flag, text string }

// helpOf describes a setting; config holds its default.
func helpOf(s setting, prefix string, config any) helpRow {
	row := helpRow{flag: prefix + s.key, text: s.help}
	if !s.isSwitch() {
		row.flag += " " + strings.ToUpper(s.kind())
	}
	if value := strings.Join(s.texts(config), ","); value != "" {
		row.text += " (default " + value + ")"
	}
	return row
}

// printRows writes flags and their texts in two columns.
func printRows(w io.Writer, rows []helpRow) {
	width := 0
	for _, r := range rows {
		width = max(width, len(r.flag))
	}
	for _, r := range rows {
		fmt.Fprintf(w, "  %-*s  %s\n", width, r.flag, r.text)
	}
}
