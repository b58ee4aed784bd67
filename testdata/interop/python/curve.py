"""Ed25519, XEdDSA and the VRF of muster, verified: docs/protocol.md sections 2 and
4.1, RFC 8032, RFC 9381. Whole numbers only, nothing in constant time: it holds no secret."""

import functools
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
I = pow(2, (P - 1) // 4, P)


def sha512(*parts):
    return hashlib.sha512(b"".join(parts)).digest()


def recover(y, sign):
    """The point with this y and sign of x (RFC 8032 section 5.1.3), or None."""
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == (P - u) % P:
        x = x * I % P
    if v * x * x % P != u or x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def decode(b):
    n = int.from_bytes(b, "little")
    return recover(n & (2**255 - 1), n >> 255)


def encode(p):
    z = pow(p[2], -1, P)
    return ((p[0] * z % P & 1) << 255 | p[1] * z % P).to_bytes(32, "little")


IDENTITY = (0, 1, 1, 0)
BASE = recover(4 * pow(5, -1, P) % P, 0)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def mul(k, p):
    r = IDENTITY
    while k:
        if k & 1:
            r = add(r, p)
        p, k = add(p, p), k >> 1
    return r


def neg(p):
    return (P - p[0]) % P, p[1], p[2], (P - p[3]) % P


def is_identity(p):
    return p[0] % P == 0 and (p[1] - p[2]) % P == 0


def signed(a, point, message, sig):
    """Section 2.4, no cofactor: R = encode([S]B - [h]A). a is the key as it is hashed."""
    s = int.from_bytes(sig[32:], "little")
    if len(sig) != 64 or s >= L or point is None:
        return False
    h = int.from_bytes(sha512(sig[:32], a, message), "little") % L
    return encode(add(mul(s, BASE), neg(mul(h, point)))) == sig[:32]


@functools.lru_cache(maxsize=1000)  # files of one log hold the same notes
def verify_ed25519(key, message, sig):
    return signed(key, decode(key), message, sig)


@functools.lru_cache(maxsize=1000)
def note_key(key):
    """Whether an Ed25519 key may sign notes: canonical, not of small order (section 4.3)."""
    p = decode(key)
    return p is not None and not is_identity(mul(8, p))


# Keys of events: type || raw (section 2.1).


def montgomery(raw):
    """y of a Curve25519 key, or None."""
    u = int.from_bytes(raw, "little")
    return None if u >= P or u == P - 1 else (u - 1) * pow(u + 1, -1, P) % P


def admitted(key):
    """Section 2.2."""
    if key[0] == 1:
        p = decode(key[1:])
    else:
        y = montgomery(key[1:])
        p = None if y is None else recover(y, 0)
    return p is not None and not is_identity(p) and is_identity(mul(L, p))


def coordinate(key):
    """u, by which keys are one and the same (section 2.3), or None."""
    n = int.from_bytes(key[1:], "little")
    if key[0] == 5:
        return n if n < P else None
    y = n & (2**255 - 1)
    return None if y >= P or y == 1 else (1 + y) * pow(1 - y, -1, P) % P


def verify_event(key, message, sig):
    """Section 2.4, by an admitted key."""
    if key[0] == 1:
        return verify_ed25519(key[1:], message, sig)
    if sig[63] & 0x60:
        return False
    a = (montgomery(key[1:]) | (sig[63] >> 7) << 255).to_bytes(32, "little")
    return signed(a, decode(a), message, sig[:63] + bytes([sig[63] & 0x7F]))


def vrf_index(public, alpha, proof):
    """The index that a proof gives (RFC 9381 section 5.3, suite 03), or None."""
    y, gamma = decode(public), decode(proof[:32])
    c, s = int.from_bytes(proof[32:48], "little"), int.from_bytes(proof[48:], "little")
    if y is None or is_identity(mul(8, y)) or gamma is None or s >= L:
        return None
    for ctr in range(256):
        h = decode(sha512(b"\x03\x01", public, alpha, bytes([ctr, 0]))[:32])
        if h is not None and not is_identity(mul(8, h)):
            h = mul(8, h)
            break
    u = add(mul(s, BASE), neg(mul(c, y)))
    v = add(mul(s, h), neg(mul(c, gamma)))
    if sha512(b"\x03\x02", public, *map(encode, (h, gamma, u, v)), b"\x00")[:16] != proof[32:48]:
        return None
    return sha512(b"\x03\x03", encode(mul(8, gamma)), b"\x00")[:32]
