package main

import (
	"context"
	"io"
	"os"
	"time"
)

// devParentVariable tells a node that its standard input ends with `parley dev`.
const devParentVariable = "PARLEY_DEV_PARENT"

// whileParent answers a context that also ends with `parley dev`, where that has
// started this process: it then holds the other end of the standard input, and
// loses it however it dies. A node that does not end by itself then is cut off.
func whileParent(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if os.Getenv(devParentVariable) == "" {
		return ctx, cancel
	}
	go func() { // lives as long as the process
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
		time.AfterFunc(devShutdown+5*time.Second, func() { os.Exit(exitError) })
	}()
	return ctx, cancel
}
