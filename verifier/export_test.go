package verifier

// The limits of one question, in all its pages.
const (
	MaxPages  = maxPages
	MaxEvents = maxEvents
)

// CameBefore has a lookup count pages and events as if they had come already: an
// account of as many is too long for a test.
func (l *Lookup) CameBefore(pages, events int) { l.pages, l.events = pages, events }
