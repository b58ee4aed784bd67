// Package monitor watches accounts for their owners: it verifies their whole
// histories again and again, and tells of everything that happens, at least
// once and never not at all.
//
// Why no event is missed:
//
//  1. Each account's events are numbered without gaps, append only, and the
//     verifier accepts no answer in which one of them is missing or another
//     one. So the newest verified history holds all that ever happened since
//     the newest ERASE, whatever epochs were slept through.
//  2. What was told is kept in the journal, for each account the newest event
//     that is told or queued. Alerts follow from that and the verified history,
//     not from the client's state: that may be newer than the last alert.
//  3. An event enters the queue and the cursor passes it in one atomic write.
//     A crash before it finds the event in the history again; a crash after it
//     finds the alert in the queue.
//  4. An alert leaves the queue when it was printed and the webhook took it. A
//     crash in between tells it twice, under one id.
//
// An ERASE hides what came before it. Events that were hidden before this
// monitor saw them are told as a gap: erased_from.
//
// The scan needs neither witnesses nor an auditor for one thing: every event
// that anybody can be shown of an account stands in the log under an index that
// only this account can have (protocol section 4.1). Two people who believe in
// different histories differ at an index that the owner's answers prove absent
// or at another position (section 5). So whoever knows these indexes and reads
// every leaf finds each insertion. The scan keeps every index that it was ever
// shown, since what was absent once may be hidden behind an ERASE later. What it
// cannot find is a lie that inserts nothing, such as an epoch that drops an
// event: the auditor does.
package monitor
