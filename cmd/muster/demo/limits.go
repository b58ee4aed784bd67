package demo

import "time"

const (
	// lineWidth fits every terminal, and eyes.
	lineWidth = 80

	// patience bounds each wait for another party: far more than any needs, so
	// that the demo fails instead of hanging.
	patience = 20 * time.Second
)
