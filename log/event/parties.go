package event

// About is the key that an event is about: the new primary, or the device.
// It is zero if there is none.
func (p *Payload) About() Key {
	switch p.Type {
	case Register, Reregister:
		return p.Primary
	}
	return p.Subject
}

// Signers names who signed, by the role's meaning in this type of event:
// primary, device, previous-primary; operator if nobody did.
func (e *Event) Signers() []string {
	if len(e.Signatures) == 0 {
		return []string{"operator"}
	}
	names := []string{}
	for _, s := range e.Signatures {
		switch {
		case s.Role == Primary:
			names = append(names, "primary")
		case e.Type == Reregister:
			names = append(names, "previous-primary")
		default:
			names = append(names, "device")
		}
	}
	return names
}
