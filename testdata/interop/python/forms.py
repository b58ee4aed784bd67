"""The bytes and trees that evidence is about: docs/protocol.md sections 4 and 9.4."""

import base64
import hashlib
import re
import struct

import curve


class Refused(Exception):
    """The file proves nothing."""


def want(condition, why):
    if not condition:
        raise Refused(why)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def b64(text):
    """Base64 in its one form."""
    try:
        b = base64.b64decode(text, validate=True)
    except ValueError as e:
        raise Refused(f"base64: {e}") from e
    want(base64.b64encode(b).decode() == text, "base64 in another form")
    return b


def decimal(text, bits=63):
    want(re.fullmatch("0|[1-9][0-9]{0,19}", text, re.ASCII) and int(text) < 2**bits, f"number {text[:24]!r}")
    return int(text)


def is_origin(text):
    return bool(re.fullmatch(r"[!-*,-~]{1,255}", text)) and not text.startswith("muster/")


# Notes (section 4.3).


class Key:
    """A vkey of type 01 or 04; 06, ML-DSA-44, is not judged here."""

    def __init__(self, vkey):
        self.name, self.id, key = vkey.split("+", 2)
        b = b64(key)
        self.type, self.public = b[0], b[1:]
        want(self.type in (1, 4) and len(self.public) == 32 and curve.note_key(self.public), "the key")
        want(self.id == sha256(self.name.encode(), b"\n", b)[:4].hex(), "the key's id")

    def verify(self, text, line):
        name, id, sig = line
        want((name, id) == (self.name, self.id), "a signature line of somebody else's")
        if self.type == 4:
            want(len(sig) == 72 and sig[0] < 0x80, "a cosignature's length or time")
            time, sig = struct.unpack(">Q", sig[:8])[0], sig[8:]
            text = f"cosignature/v1\ntime {time}\n{text}"
        want(curve.verify_ed25519(self.public, text.encode(), sig), "the signature is invalid")


def split(note):
    """The text of a note, and its one signature line."""
    want(len(note) <= 65535, "a note too long")
    try:
        text, _, lines = note.decode().rpartition("\n\n")
    except UnicodeDecodeError as e:
        raise Refused("a note that is not UTF-8") from e
    m = re.fullmatch("\u2014 ([^ +\n]+) ([^ \n]+)\n", lines)
    want(m, "want one signature line")
    sig = b64(m[2])
    want(len(sig) >= 5, "a signature line too short")
    return text + "\n", (m[1], sig[:4].hex(), sig[4:])


class Note:
    def __init__(self, data, key, origin):
        text, line = split(data)
        lines = text.split("\n")
        want(len(lines) == 4 and lines[3] == "" and is_origin(lines[0]) and lines[0] == origin, "a checkpoint of this origin")
        self.size, self.root = decimal(lines[1]), b64(lines[2])
        want(len(self.root) == 32, "a root of 32 bytes")
        key.verify(text, line)


def receipt(data, key):
    """index, commitment, merge_by (section 9.1)."""
    text, line = split(data)
    key.verify(text, line)
    words = text.split("\n")
    want(len(words) == 6 and words[0] == "muster/v1 receipt" and words[1] == key.name and is_origin(words[1]) and words[5] == "", "a receipt")
    index, commitment = b64(words[2]), b64(words[3])
    want(len(index) == 32 == len(commitment), "an index and a commitment")
    return index, commitment, decimal(words[4])


# The log's tree (RFC 6962, checked as RFC 9162 section 2.1.3.2 and 2.1.4.2 say).


def node(left, right):
    return sha256(b"\x01", left, right)


def included(data, position, size, path, root):
    want(position < size, "a leaf beyond the tree")
    fn, sn, r = position, size - 1, sha256(b"\x00", data)
    for p in path:
        want(sn > 0, "an inclusion proof too long")
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    want(sn == 0 and r == root, f"the inclusion proof of leaf {position}")


def consistent(first, second, old, new, path):
    want(0 < first < second, "0 < first < second")
    if first & (first - 1) == 0:
        path = [old] + path
    want(path, "an empty consistency proof")
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        want(sn > 0, "a consistency proof too long")
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    want(sn == 0 and fr == old and sr == new, "the consistency proof")


# Leaves (section 4.2).


class Leaf:
    """A canonical leaf; Refused if it is none."""

    def __init__(self, b):
        want(0 < len(b) <= 65535, "a leaf's length")
        self.kind = {0: "GENESIS", 1: "EVENT", 2: "EPOCH", 3: "SEAL"}.get(b[0])
        want(self.kind, "a leaf of an unknown kind")
        getattr(self, "read_" + self.kind.lower())(b)

    @property
    def is_epoch(self):
        return self.kind in ("EPOCH", "SEAL")

    def read_genesis(self, b):
        want(b[:5] == bytes([0, 0, 1, 0, 2]) and len(b) > 5, "a GENESIS")
        n = 6 + b[5]
        want(len(b) >= n + 34 and len(b) == n + 34 + int.from_bytes(b[n + 32 : n + 34], "big"), "a GENESIS")
        self.origin, self.vrf = b[6:n].decode("latin1"), b[n : n + 32]
        want(is_origin(self.origin), "the origin of a GENESIS")

    def read_event(self, b):
        want(len(b) == 65, "an EVENT")
        self.index, self.commitment = b[1:33], b[33:]

    def read_epoch(self, b):
        want(len(b) == 65, "an EPOCH")
        self.epoch, self.time, self.first, self.keys = struct.unpack(">4Q", b[1:33])
        self.root = b[33:65]
        want(self.epoch < 2**62 and self.keys < 2**62 and self.first < 2**63, "the counts of an EPOCH")
        self.due = 1 + self.keys + self.epoch

    def read_seal(self, b):
        want(len(b) >= 66 and len(b) == 66 + b[65], "a SEAL")
        self.read_epoch(b[:65])
        want(not b[66:] or is_origin(b[66:].decode("latin1")), "the successor of a SEAL")


# The prefix tree (sections 4.4 and 4.5).

ZERO = bytes(32)


def value(position, commitment):
    return sha256(b"\x04", struct.pack(">Q", position), commitment)


def bit(index, d):
    return index[d // 8] >> (7 - d % 8) & 1


def shares(a, b, bits):
    return all(bit(a, d) == bit(b, d) for d in range(bits))


class PrefixProof:
    def __init__(self, b):
        self.results = []
        want(b and b[0], "a prefix proof without results")
        at = 1
        for _ in range(b[0]):
            kind = b[at] if at < len(b) else 0
            want(kind in (1, 2, 3), "a result's type")
            n = 66 if kind == 2 else 2
            r = b[at : at + n]
            want(len(r) == n, "a prefix proof cut short")
            self.results.append((kind, r[1:33] if kind == 2 else None, r[33:65] if kind == 2 else None, r[-1]))
            at += n
        count = int.from_bytes(b[at : at + 2], "big")
        want(len(b) == at + 2 + 32 * count, "the elements of a prefix proof")
        self.elements = [b[i : i + 32] for i in range(at + 2, len(b), 32)]


def prove(root, queries, proof):
    """Section 4.5's verify; queries are (index, value if present). Gives the shown
    part of the tree: a dict from each path, as bits, to what stands there."""
    want(len(queries) == len(proof.results), "results for other queries")
    want(len({q[0] for q in queries}) == len(queries), "an index asked twice")
    group = []
    for (sought, present), (kind, index, val, depth) in zip(queries, proof.results):
        want((kind == 1) == (present is not None), "absent is present, or the other way round")
        end = ("missing",)
        if kind == 1:
            end = ("leaf", sought, present)
        if kind == 2:
            want(index != sought and shares(index, sought, depth), "a leaf that stands elsewhere")
            end = ("leaf", index, val)
        group.append((sought, depth, end))
    shown, elements = {}, list(proof.elements)

    def walk(group, path):
        d = len(path)
        if not group:
            want(elements, "elements lack")
            h = elements.pop(0)
            shown.setdefault(path, ("missing",) if h == ZERO else ("hash", h))
            return h, "missing" if h == ZERO else "other"
        if any(g[1] == d for g in group):
            want(all(g[1] == d and g[2] == group[0][2] for g in group), "ends that disagree")
            shown[path] = end = group[0][2]
            return (ZERO, "missing") if end[0] == "missing" else (sha256(b"\x02", end[1], end[2]), "leaf")
        want(d < 256, "too deep")
        (left, lk), (right, rk) = (walk([g for g in group if bit(g[0], d) == side], path + (side,)) for side in (0, 1))
        want(not (lk == "missing" and rk != "other" or rk == "missing" and lk == "leaf"), "a second shape of the tree")
        shown[path] = ("inner",)
        return sha256(b"\x03", left, right), "other"

    h, _ = walk(group, ())
    want(not elements and h == root, "the prefix proof")
    return shown


def insert(shown, index, val):
    """Adds a leaf to what is shown of a tree."""
    path = ()
    while shown.get(path, ("hash",))[0] == "inner":
        path += (bit(index, len(path)),)
    there = shown.get(path, ("hash",))
    want(there[0] != "hash", "nothing shows where an event belongs")
    if there[0] == "leaf":
        want(not shares(index, there[1], 255), "an index twice")
        while bit(there[1], len(path)) == bit(index, len(path)):
            shown[path], shown[path + (1 - bit(index, len(path)),)] = ("inner",), ("missing",)
            path += (bit(index, len(path)),)
        shown[path], shown[path + (bit(there[1], len(path)),)] = ("inner",), there
        path += (bit(index, len(path)),)
    shown[path] = ("leaf", index, val)


def root_of(shown, path=()):
    there = shown[path]
    if there[0] == "inner":
        return sha256(b"\x03", root_of(shown, path + (0,)), root_of(shown, path + (1,)))
    return {"missing": lambda: ZERO, "hash": lambda: there[1], "leaf": lambda: sha256(b"\x02", there[1], there[2])}[there[0]]()
