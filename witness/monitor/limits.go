package monitor

import "time"

// All limits of the monitor, each with its reason.
const (
	// DefaultInterval is that of the log's epochs: a lie that lasts for one epoch is
	// seen if the monitor asks in it. A log may seal two between two passes; none
	// escapes an auditor.
	DefaultInterval = time.Second

	// DefaultRepeat is how often a failure that lasts is told again: often enough
	// for whoever slept through the first alert, too seldom to hide another.
	DefaultRepeat = time.Hour

	// DefaultTimeout ends one account's questions: a log that answers a byte a
	// second must not keep the monitor from the next account.
	DefaultTimeout = time.Minute

	// maxQueue bounds the alerts that wait for the webhook, at some 700 bytes
	// each: when it is full, cursors stand still and nothing is lost.
	maxQueue = 1000

	// reserve is the part of the queue that events leave to failures: a log that
	// fills the queue with events must not silence the alert about itself.
	reserve = 100

	// deliverTime is for how long a pass delivers before it verifies again.
	deliverTime = 10 * time.Second

	// deliverBatch is how many alerts go out between two writes of the journal:
	// a crash repeats at most so many.
	deliverBatch = 16

	// A webhook that fails is tried again after minBackoff, then after twice as
	// long each time, up to maxBackoff.
	minBackoff = time.Second
	maxBackoff = time.Minute

	// webhookTimeout ends one POST: a target that hangs costs no more.
	webhookTimeout = 5 * time.Second

	// maxWebhookBody is what is read of a webhook's answer, to use the connection again.
	maxWebhookBody = 4 << 10

	// maxMessage cuts the text of an error in an alert: parts of it come from
	// the log.
	maxMessage = 1000

	// scanTime and maxScan bound what one pass reads of the log: the accounts
	// are verified again meanwhile. 262,144 leaves are some 18 MB.
	scanTime = time.Minute
	maxScan  = 1 << 18

	// verifiedGrain is how exactly the journal remembers when an account was
	// last verified: a write to the disk every second would tell nothing more.
	verifiedGrain = time.Minute

	// MaxAccounts bounds one monitor: each account is asked about on its own,
	// so that one account's failure hides no other's events.
	MaxAccounts = 10_000

	// maxApprovals bounds the list of what is expected.
	maxApprovals = 100_000

	// maxLooked bounds what is remembered of failures that convicted nobody: to
	// look again costs a few of the log's tiles.
	maxLooked = 1000

	// investigateTime bounds the reading of the log's files for evidence, once a
	// pass for each account: the alert waits for it, and a liar may be slow, which
	// holds up a pass less than its answers do.
	investigateTime = 20 * time.Second

	// maxUnproven bounds the insertions whose evidence is tried for again, each
	// with its answer: one file convicts, the others tell what else was done.
	maxUnproven = 16
)
