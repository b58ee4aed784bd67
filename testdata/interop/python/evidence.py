"""Verifies evidence files of muster by docs/protocol.md alone: a second reader of
section 9, which shares no code with the first. python3 evidence.py VKEY FILE"""

import sys

import curve
import events
from forms import Key, Leaf, Note, PrefixProof, Refused, b64, consistent, decimal, included, insert, is_origin, prove, receipt, root_of, value, want

CUT = 200  # EVENTs that one prefix line of E4c answers
EMPTY = bytes(32)


class Line:
    def __init__(self, text):
        self.word, *words = text.split(" ")
        form = {
            "note": "note:b", "receipt": "note:b", "root": "root:32", "consistency": "path:h",
            "member": "index:32 position:n commitment:32", "leaf": "position:n bytes:b path:h", "prefix": "proof:p",
            "open": "position:n label:33 seq:s opening:16 event:b", "vrf": "label:33 seq:s proof:80",
        }.get(self.word, "")
        fields = [f.split(":") for f in form.split()]
        want(fields and len(fields) == len(words), f"a line {self.word[:20]!r}")
        for (field, kind), w in zip(fields, words):
            setattr(self, field, self.read(kind, w))

    @staticmethod
    def read(kind, word):
        if kind in "ns":
            return decimal(word, 63 if kind == "n" else 32)
        b = b64(word)
        if kind == "p":
            return PrefixProof(b)
        if kind == "h":
            want(len(b) % 32 == 0, "hashes")
            return [b[i : i + 32] for i in range(0, len(b), 32)]
        want(kind == "b" or len(b) == int(kind), f"{len(b)} bytes")
        return b


class File:
    def __init__(self, data, key):
        want(len(data) <= 64 << 20, "a file too long")
        text = data.decode("ascii", "strict") if data.isascii() else ""
        head, kind, origin, *lines = text.split("\n")[:-1] if text.endswith("\n") else [""] * 3
        want(head == "muster-evidence/v1" and kind[:5] == "kind " and origin[:7] == "origin ", "the first three lines")
        self.key, self.origin = key, origin[7:]
        want(is_origin(self.origin), "the origin")
        role, _, base = kind[5:].rpartition(" ")
        of_role = {"": [*JUDGES], "W": ["E1", "E2"], "A": ["E4a", "E4b", "E4c", "E5"]}
        want(base in of_role.get(role, []), f"the kind {kind[5:20]!r}")
        own = key.name == self.origin
        want(own and key.type == 1 if role == "" else not own and key.type == 4, "a key that it does not accuse")
        self.lines = [Line(text) for text in lines]
        JUDGES[base](self)
        want(not self.lines, "a line more than the kind needs")

    # Taking lines, in order.

    def next(self, word):
        return bool(self.lines) and self.lines[0].word == word

    def take(self, word):
        want(self.next(word), f"a {word} line is due")
        return self.lines.pop(0)

    def signed(self):
        self.note = Note(self.take("note").note, self.key, self.origin)
        return self.note

    def included(self):
        l = self.take("leaf")
        included(l.bytes, l.position, self.note.size, l.path, self.note.root)
        return l

    def leaf(self, *kinds):
        l = self.included()
        l.leaf = Leaf(l.bytes)
        want(l.leaf.kind in kinds, f"leaf {l.position} is of another kind")
        return l

    def genesis(self, l):
        g = Leaf(l.bytes)
        want(l.position == 0 and g.kind == "GENESIS" and g.origin == self.origin, "GENESIS")
        return g

    def opened(self):
        self.signed()
        return self.genesis(self.included())

    def epoch(self):
        return self.leaf("EPOCH", "SEAL")

    # The kinds (section 9.3).

    def roots(self):
        a, b = self.signed(), self.signed()
        want(a.size == b.size and a.root != b.root, "one size and two roots")

    def fork(self):
        a, b = self.signed(), self.signed()
        root = self.take("root").root
        want(root != a.root, "the second tree extends the first")
        consistent(a.size, b.size, root, b.root, self.take("consistency").path)

    def replaced(self):
        self.signed()
        a = self.included()
        self.signed()
        b = self.included()
        want(a.position == b.position and a.bytes != b.bytes, "two leaves at one position")

    def dropped(self):
        self.opened()
        event, epoch = self.leaf("EVENT"), self.epoch()
        want(event.position < epoch.position, "an EVENT above the EPOCH")
        index, proof = event.leaf.index, self.take("prefix").proof
        if [r[:2] for r in proof.results] == [(2, index)]:
            want(proof.results[0][2] != value(event.position, event.leaf.commitment), "the map holds what it should")
            index = index[:31] + bytes([index[31] ^ 1])
        prove(epoch.leaf.root, [(index, None)], proof)

    def ghost(self):
        self.opened()
        epoch, m = self.epoch(), self.take("member")
        prove(epoch.leaf.root, [(m.index, value(m.position, m.commitment))], self.take("prefix").proof)
        if 0 < m.position < epoch.position:
            l = self.included()
            want(l.position == m.position and l.bytes != b"\x01" + m.index + m.commitment, "the member's EVENT is there")

    def map(self):
        self.opened()
        position, number, root, proofs, found = 0, -1, EMPTY, [], []
        # The EPOCH before is a leaf line that is not the last.
        if self.next("leaf") and len(self.lines) > 1 and self.lines[0].bytes[:1] in (b"\x02", b"\x03"):
            before = self.epoch()
            position, number, root = before.position, before.leaf.epoch, before.leaf.root
        while self.next("prefix"):
            proofs.append(self.take("prefix").proof)
        last = None
        while last is None:
            l = self.leaf("EVENT", "EPOCH", "SEAL")
            want(l.position == position + 1 + len(found), "every leaf between the EPOCHs")
            if l.leaf.is_epoch:
                last = l.leaf
            else:
                found.append(l)
        want(last.epoch == number + 1, "the next EPOCH")
        want(len(proofs) == (-(-len(found) // CUT) if position else 0), "the number of prefix proofs")
        shown = {(): ("missing",) if root == EMPTY else ("hash", root)}
        for i, proof in enumerate(proofs):
            for path, there in prove(root, [(l.leaf.index, None) for l in found[i * CUT : (i + 1) * CUT]], proof).items():
                if shown.get(path, ("hash",))[0] == "hash":
                    shown[path] = there
        for l in found:
            insert(shown, l.leaf.index, value(l.position, l.leaf.commitment))
        want(root_of(shown) != last.root, "the map follows from the leaves")

    def leaves(self):
        if self.signed().size == 0:
            return
        zero = self.included()
        if not self.lines:
            want(zero.position == 0 and not newer(zero.bytes), "GENESIS may be of another version")
            try:
                self.genesis(zero)
            except Refused:
                return
            want(self.note.size == 1, "leaf 0 is in order")
            return
        self.genesis(zero)
        a = self.included()
        want(a.position > 0, "leaf 0 twice")
        if not self.lines:
            self.broken_leaf(a)
            return
        b = self.included()
        want(a.position < b.position, "ascending positions")
        broken_pair(a.position, Leaf(a.bytes), Leaf(b.bytes))

    def broken_leaf(self, l):
        want(not newer(l.bytes), "GENESIS may be of another version")
        try:
            leaf = Leaf(l.bytes)
        except Refused:
            return
        if leaf.is_epoch:
            want(leaf.due != l.position or leaf.first == 0 or leaf.first > l.position or leaf.first == 1 and leaf.epoch > 0, "the EPOCH is in order")
        else:
            want(leaf.kind == "GENESIS" or l.position == self.note.size - 1, "the leaf is in order")

    def account(self):
        g, all = self.opened(), []
        while not all or self.next("leaf"):
            l, o = self.leaf("EVENT"), self.take("open")
            want(o.position == l.position and o.label[0] == 1, "the opening of the leaf")
            want(not all or o.position > all[-1].position and o.label == all[0].label, "events of one account, ascending")
            want(events.commit(o.opening, o.label, o.seq, o.event) == l.leaf.commitment, "the opening")
            o.index = l.leaf.index
            all.append(o)
        if self.next("vrf") and len(all) == 1:
            v, o = self.take("vrf"), all[0]
            want((v.label, v.seq) == (o.label, o.seq), "a VRF proof of another event")
            index = curve.vrf_index(g.vrf, bytes([33]) + v.label + v.seq.to_bytes(4, "big"), v.proof)
            want(index is not None and index != o.index, "the VRF proof, or the index is the due one")
            return
        events.judge(self.origin, all)

    def promise(self):
        index, commitment, merge_by = receipt(self.take("receipt").note, self.key)
        self.opened()
        epoch = self.epoch()
        want(epoch.leaf.time > merge_by or epoch.leaf.kind == "SEAL", "the EPOCH is not later than the promise")
        if self.next("leaf"):
            l = self.leaf("EVENT")
            want(l.position < epoch.position and l.leaf.index == index and l.leaf.commitment != commitment, "another EVENT in its place")
        else:
            prove(epoch.leaf.root, [(index, None)], self.take("prefix").proof)


def newer(b):
    return b[:1] == b"\x00" and b[:5] != bytes([0, 0, 1, 0, 2])


def broken_pair(at, a, b):
    """Leaf a, at a position, and b above it contradict each other."""
    if a.kind == "SEAL":
        return
    if b.is_epoch:
        first = b.first > 0 and at == b.first - 1 and not (a.is_epoch and b.epoch > 0 and a.epoch == b.epoch - 1)
        between = at >= b.first and a.kind != "EVENT"
        time = a.is_epoch and (a.epoch < b.epoch and b.time <= a.time or a.epoch > b.epoch and a.time <= b.time)
        want(first or between or time, "the leaf and the EPOCH do not contradict each other")
        return
    same = a.kind == b.kind == "EVENT" and (a.index[:31], a.index[31] | 1) == (b.index[:31], b.index[31] | 1)
    want(same, "the two leaves do not contradict each other")


JUDGES = {
    "E1": File.roots, "E2": File.fork, "E3": File.replaced, "E4a": File.dropped, "E4b": File.ghost, "E4c": File.map,
    "E5": File.leaves, "E6": File.account, "E7": File.promise,
}


def refusal(data, vkey):
    """None if the file convicts the holder of the key, else why it proves nothing."""
    try:
        File(data, Key(vkey))
    except Refused as e:
        return str(e)
    return None


if __name__ == "__main__":
    with open(sys.argv[2], "rb") as f:
        why = refusal(f.read(), sys.argv[1])
    print(why or "convicts")
    sys.exit(0 if why is None else 1)
