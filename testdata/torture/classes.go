package main

// class is one way to change what a log serves, hashed and signed again where a liar
// could, so that nothing but the check for it can tell.
type class struct {
	id, what string
	tests    map[string][]string // by package: regexps of the tests, subtests included, that tell the lie
}

// The 24 classes and where they are refused. Spaces in the names of subtests stand
// as they do in the code.
var classes = []class{
	{"M1", "two events of an account swapped", map[string][]string{
		"verifier":        {"TestEventsInAnotherOrder/two events swapped"},
		"witness/auditor": {"TestWrongMaps/two events are swapped"},
	}},
	{"M2", "an event dropped: the first, one in the middle, the last", map[string][]string{
		"verifier":        {"TestEventsInAnotherOrder/the first is dropped", "TestEventsInAnotherOrder/one in the middle", "TestLiesAreRefused/omitted removal"},
		"witness/auditor": {"TestWrongMaps/an event of this epoch is missing", "TestWrongMaps/an event of an earlier epoch is taken out"},
	}},
	{"M3", "a version left out of a history", map[string][]string{
		"verifier": {"TestEveryRungMatters", "TestLiesAreRefused/(a map that dropped a rung|a history that begins late|a returning contact is not shown|an event that should be opened)"},
	}},
	{"M4", "events of two accounts spliced", map[string][]string{
		"verifier": {"TestLiesAreRefused/another account's events", "TestLiesAreRefused/another account's answer", "TestLiesAreRefused/another account's indexes"},
	}},
	{"M5", "a seq or a position beyond what the epoch allows", map[string][]string{
		"verifier": {"TestLiesAreRefused/phantom in the map", "TestLiesAreRefused/phantom rung", "TestLiesAreRefused/a position beyond the EPOCH"},
	}},
	{"M6", "a removed device shown as active", map[string][]string{
		"verifier": {"TestLiesAreRefused/replayed removed device"},
	}},
	{"M7", "generations swapped, an old registration shown as new", map[string][]string{
		"verifier": {"TestEventsInAnotherOrder/an old registration", "TestEventsInAnotherOrder/generations swapped", "TestLiesAreRefused/an ERASE that goes back"},
	}},
	{"M8", "the prefix proof of another epoch", map[string][]string{
		"verifier":        {"TestLiesAreRefused/wrong epoch root", "TestLiesAreRefused/an earlier EPOCH"},
		"witness/auditor": {"TestWrongMaps/the root before", "TestWrongMaps/the root of the next epoch"},
	}},
	{"M9", "depth, copath, order and kind in the prefix tree", map[string][]string{
		"log/prefix": {
			"TestChangedProof", "TestRefusals/leaf (above|below a leaf|below a missing child|without|and|shown shares|shown without|beside a missing)",
			"TestRefusals/missing (result|child below|child without)", "TestRefusals/(two leaves|two values|two missing|one leaf shown)",
			"TestRefusals/element (too|in|on)", "TestRefusals/elements from right to left", "TestRefusals/kind", "TestRefusals/a result too",
		},
	}},
	{"M10", "second encodings of every field", map[string][]string{
		"verifier":     {"TestEveryBitMatters", "TestEveryElementMatters"},
		"log/event":    {"TestParseRefuses"},
		"log/answer":   {"TestParseRefuses"},
		"log/evidence": {"TestParseRefuses"},
		"log/leaf":     {"TestParseRefuses"},
		"log/vrf":      {"TestRefusedProofs/s \\+ L"},
	}},
	{"M11", "the EPOCH leaf not last, twice, none, with a wrong count", map[string][]string{
		"verifier":        {"TestLiesAreRefused/a last leaf that is no EPOCH", "TestLiesAreRefused/a tree of another size with the same last leaf"},
		"witness/auditor": {"TestBrokenLeaves/a checkpoint (of GENESIS alone|that ends in EVENT)", "TestBrokenLeaves/one event too", "TestBrokenLeaves/first "},
	}},
	{"M12", "an index twice, with another commitment", map[string][]string{
		"verifier":        {"TestLiesAreRefused/an index overwritten"},
		"witness/auditor": {"TestBrokenLeaves/an index (again|of an earlier epoch)", "TestWrongMaps/an (earlier )?event has another commitment"},
	}},
	{"M13", "an epoch's number skipped or repeated", map[string][]string{
		"witness/auditor": {"TestBrokenLeaves/an EPOCH's number again", "TestBrokenLeaves/an EPOCH is left out of the count", "TestBrokenLeaves/number and count lie together"},
	}},
	{"M14", "an epoch's time equal or lower", map[string][]string{
		"witness/auditor": {"TestBrokenLeaves/time (goes back|stands still|after the last)"},
	}},
	{"M15", "a stale checkpoint, and one from the future", map[string][]string{
		"verifier": {"TestLiesAreRefused/stale", "TestLiesAreRefused/epoch of the future", "TestLiesAreRefused/epoch time that wraps around"},
	}},
	{"M16", "absence of what is there", map[string][]string{
		"verifier":   {"TestLiesAreRefused/no such account", "TestLiesAreRefused/hidden later version", "TestLiesAreRefused/omitted removal"},
		"log/prefix": {"TestRefusals/present, want absent", "TestRefusals/absent by its own leaf", "TestRefusals/empty tree said of a full one"},
	}},
	{"M17", "presence of what is not there, or of another account's", map[string][]string{
		"verifier":        {"TestLiesAreRefused/phantom", "TestLiesAreRefused/another account's indexes"},
		"log/prefix":      {"TestRefusals/(absent|another leaf), want present", "TestRefusals/another value", "TestRefusals/leaf said of the empty tree"},
		"witness/auditor": {"TestWrongMaps/a ghost"},
	}},
	{"M18", "a VRF proof of another input, by another key, with other points and scalars", map[string][]string{
		"verifier": {"TestLiesAreRefused/another VRF key", "TestLiesAreRefused/a VRF key"},
		"log/vrf":  {"TestRefusedProofs", "TestRefusedKeys", "TestSmallOrderKeys", "TestTorsionGivesNoSecondIndex", "TestEveryBitOfAProofCounts"},
	}},
	{"M19", "the opening or the commitment of another event", map[string][]string{
		"verifier": {"TestLiesAreRefused/the opening of another commitment", "TestLiesAreRefused/another event than the one committed to"},
	}},
	{"M20", "cosignatures missing, twice, unknown, too few", map[string][]string{
		"verifier":       {"TestLiesAreRefused/too few cosignatures", "TestLiesAreRefused/no signature of the log"},
		"log/checkpoint": {"TestVerifyNotesMadeByHand", "TestQuorumAgainstBruteForce", "TestRepeatedLineIsNamed"},
	}},
	{"M21", "more lines, extensions, another origin under one key", map[string][]string{
		"verifier":       {"TestUnknownSignatureLines", "TestLiesAreRefused/another log$", "TestLiesAreRefused/another GENESIS"},
		"log/checkpoint": {"TestParseTextIsExactlyThreeLines", "TestNotes/(empty )?extension line"},
	}},
	{"M22", "sizes 0, 1, 2^63 and beyond, an index at the size", map[string][]string{
		"log/checkpoint":  {"TestNotes/size: "},
		"log/answer":      {"TestParseRequest/(size 1|size 2.63|a size without GENESIS)"},
		"log/evidence":    {"TestProofsOfOtherSizes"},
		"witness/auditor": {"TestBrokenLeaves/a checkpoint of size 0"},
	}},
	{"M23", "consistency proofs that prove nothing", map[string][]string{
		"verifier":   {"TestLiesAreRefused/a consistency proof", "TestLiesAreRefused/forked history", "TestLiesAreRefused/shorter than what was seen"},
		"log/answer": {"TestReferenceConsistency"},
	}},
	// A state that was rolled back whole looks like an older client: nobody but the
	// account's other devices can tell.
	{"M24", "the client's state of another log, or changed by two at once", map[string][]string{
		"verifier":           {"TestStateNamesOneLog"},
		"verifier/statefile": {"TestSaveConflicts", "TestProcesses"},
	}},
}
