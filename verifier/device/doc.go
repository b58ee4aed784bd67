// Package device is the signer's side of an account: it makes the next event
// and sees it into the log. It has no network, no storage and no clock of its
// own; key stores, journals and transports are interfaces.
//
// Whoever signs an event vouches for the whole device list after it. A signer
// that took the list from the server would sign in whatever device the server
// put there, so (protocol section 3, "Signers"):
//
//   - a Head, to which events attach, is made from a verified lookup or from
//     the signer's own last event, and from nothing else;
//   - a Draft that came from another device cannot be signed before Review held
//     it against the signer's own Head;
//   - Draft.Devices is the list that the signature covers. Show all of it to
//     the user before Sign;
//   - a signed event is in the Journal before it leaves. It stays pending until
//     a verified lookup shows which event holds its seq, because a server that
//     refuses or loses an event today may log it tomorrow. Only another event
//     at that seq takes it back.
//
// The way of an event, for a phone that has it all to itself:
//
//	standing, err := agent.Refresh(ctx)              // verified; tells what is still pending
//	draft, err := standing.Head.RemoveDevice(3, event.Primary, now)
//	show(draft.Devices())
//	err = draft.Sign(event.Primary, key)
//	standing, err = agent.Send(ctx, draft)           // journal, submit, verify, clear the journal
//
// An event with two signatures travels between the devices as Draft.Text, half
// signed, in a QR code or a message; each device reviews it for itself.
package device
