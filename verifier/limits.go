package verifier

import "time"

// All limits of the verifier, each with its reason.
const (
	// maxPromise is how far ahead of this clock a receipt's merge_by may lie: a
	// log that promises an event for next month promises nothing that a person
	// waits for, and could say so in every receipt.
	maxPromise = 24 * time.Hour

	// DefaultMaxAge bounds how long a client can be held on an old view: a log
	// publishes at least every minute, so an hour forgives outages, no more.
	DefaultMaxAge = time.Hour

	// maxAhead forgives a client's slow clock (protocol section 6).
	maxAhead = 300 * time.Second

	// anyAge is older than any log: about 95 years.
	anyAge = 50_000 * 24 * time.Hour

	// TagPatience is how long a contact's message tag may wait for what would
	// confirm it: a day forgives a phone without a network, no more.
	TagPatience = 24 * time.Hour

	// MostOpened is how many events a client asks for in one page: the most
	// that a server gives.
	MostOpened = 190

	// maxPages bounds one question; an honest log needs that many only for an
	// account of 778,240 events.
	maxPages = 4096

	// maxEvents bounds what one question opens in all its pages, at some 600
	// bytes each in memory: beyond 131,072 events somebody plays games, and
	// whoever plays with 200 accounts at once must not fill a phone.
	maxEvents = 1 << 17
)
