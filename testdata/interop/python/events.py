"""What opened events prove (E6): docs/protocol.md sections 3 and 9.3."""

import hashlib
import hmac
import struct

import curve
from forms import Refused, sha256, want

REGISTER, ADD_DEVICE, REMOVE_DEVICE, REREGISTER, OPERATOR_REMOVE, ERASE, CONFIRM = range(1, 8)
KC = bytes.fromhex("d821f8790d97709796b4d7903357c3f5")
NEVER = 2**32 - 1  # no event has this seq


def commit(opening, label, seq, event):
    head = opening + bytes([len(label)]) + label + struct.pack(">II", seq, len(event))
    return hmac.new(KC, head + event, hashlib.sha256).digest()


class Cut:
    """Bytes taken from the front."""

    def __init__(self, b):
        self.rest = b

    def take(self, n):
        want(len(self.rest) >= n, "an event cut short")
        b, self.rest = self.rest[:n], self.rest[n:]
        return b

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def string(self):
        return self.take(self.number(2))


def reserved(b):
    """Whether a later version may be able to read what this one refuses."""
    if b and 8 <= b[0] <= 15:
        return True
    c = Cut(b)
    try:
        c.take(1 + 32 + 32 + 4 + 4 + 32 + 8 + 4)
        return c.string()[:1] == b"\x10" or c.string()[:1] == b"\x10"
    except Refused:
        return False


class Event:
    """Section 3.1 and 3.3; Refused if it is malformed."""

    def __init__(self, b):
        c = Cut(b)
        self.type, self.log, self.account = c.number(1), c.take(32), c.take(32)
        self.generation, self.seq, self.prev = c.number(4), c.number(4), c.take(32)
        c.take(8)
        self.key_index, self.primary, self.subject = c.number(4), c.string(), c.string()
        self.devices_hash = c.take(32)
        self.payload = b[: len(b) - len(c.rest)]
        self.id = sha256(b"muster/v1 event id\0", self.payload)
        s, self.signatures = Cut(c.string()), []
        want(not c.rest, "bytes after an event")
        while s.rest:
            self.signatures.append((s.number(1), s.string()))
        want(1 <= self.type <= 7, "an event's type")
        for key in (self.primary, self.subject):
            want(not key or len(key) == 33 and key[0] in (1, 5), "a key's form")
        roles = [role for role, _ in self.signatures]
        want(all(r in (0, 1) for r in roles) and roles == sorted(set(roles)), "roles")
        want(all(len(sig) == 64 for _, sig in self.signatures), "a signature's length")

    def devices_hash_of_none(self):
        return sha256(
            b"muster/v1 device list\0", self.log, self.account, struct.pack(">IH", self.generation, len(self.primary)), self.primary, bytes(4)
        )

    def check_row(self):
        """Section 3.2, as far as the event alone tells."""
        either = self.key_index  # of which the account tells more
        row = {
            REGISTER: (0, True, False, ["0"]),
            ADD_DEVICE: (self.seq, True, True, ["01"]),
            REMOVE_DEVICE: (either, True, True, ["0", "1"]),
            REREGISTER: (self.seq, True, bool(self.subject), ["01" if self.subject else "0"]),
            OPERATOR_REMOVE: (either, True, True, [""]),
            ERASE: (0, False, False, [""]),
            CONFIRM: (0, True, False, ["0"]),
        }[self.type]
        want((self.type == REGISTER) == (self.seq == 0), "REGISTER is the first event and no other")
        want(self.key_index == row[0], "key_index")
        want((bool(self.primary), bool(self.subject)) == row[1:3], "which keys there are")
        want("".join(str(role) for role, _ in self.signatures) in row[3], "who signed")

    def check_keys(self):
        """Admission and signatures."""
        keys = [self.primary, self.subject]
        want(all(curve.admitted(k) for k in keys if k), "a key that is not admitted")
        for role, sig in self.signatures:
            message = b"muster/v1 account event\0" + bytes([role]) + self.payload
            want(curve.verify_event(keys[role], message, sig), "a signature")

    def check_alone(self):
        """All rules that one event breaks or keeps whatever its account."""
        self.check_row()
        want(self.seq != NEVER, "no event has this seq")
        self.check_keys()
        if self.type == REGISTER:
            want(self.prev == bytes(32) and self.generation == 0, "what REGISTER follows")
        if self.type == REREGISTER:
            want(self.generation >= 1, "the generation of REREGISTER")
            want(not self.subject or curve.coordinate(self.subject) != curve.coordinate(self.primary), "one key twice")
        if self.type in (REGISTER, REREGISTER, ERASE):
            want(self.devices_hash == self.devices_hash_of_none(), "the list after it")

    def introduced(self):
        key = {REGISTER: self.primary, REREGISTER: self.primary, ADD_DEVICE: self.subject}.get(self.type)
        want(key, f"event {self.seq} introduces no key")
        u = curve.coordinate(key)
        want(u is not None, "a key without u")
        return u


def read(origin, opened):
    """The event of an opening; Refused if it is none of this account and seq."""
    e = Event(opened.event)
    want(e.log == sha256(origin.encode()), "signed for another log")
    want(b"\x01" + e.account == opened.label and e.seq == opened.seq, "signed for another account or seq")
    return e


def contradict(a, b):
    """Whether b, at the seq after a's, does not follow from it."""
    return b.seq == a.seq + 1 and (
        b.prev != a.id
        or b.generation != a.generation + (b.type == REREGISTER)
        or a.type == ERASE and (b.type != REREGISTER or b.subject)
        or b.type == REREGISTER and b.subject and b.subject != a.primary
        or b.type not in (REREGISTER, ERASE) and b.primary != a.primary
        or b.type == CONFIRM and b.devices_hash != a.devices_hash
    )


def judge(origin, opened):
    """E6 but for a wrong index: Refused unless the opened events break a rule."""
    want(not any(reserved(o.event) for o in opened), "reserved for a later version")
    if len(opened) == 1:
        try:
            read(origin, opened[0]).check_alone()
        except Refused:
            return
        raise Refused("the event alone breaks no rule")
    events = [read(origin, o) for o in opened]
    if len(events) == 2 and (opened[0].seq > opened[1].seq or contradict(*events)):
        return
    want(all(e.type != ERASE for e in events), "an ERASE forgets keys")
    want(all(b.seq == a.seq + 1 for a, b in zip(events, events[1:])), "not all events between")
    want(events[0].introduced() == events[-1].introduced(), "the events do not contradict each other")
