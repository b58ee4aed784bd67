package event

import (
	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
)

// What fromMontgomery and torsionFree compute with, from curve25519's A = 486662.
var (
	feOne  = new(field.Element).One()
	feA    = new(field.Element).Mult32(feOne, 486662)
	feN    = new(field.Element).Mult32(feOne, 486664)                            // n = A+2
	feC, _ = new(field.Element).SqrtRatio(new(field.Element).Negate(feN), feOne) // c² = -n, either root
	feS, _ = new(field.Element).SqrtRatio(feN, feOne)                            // s² = n, the root for which s(s+2) is no square
	feL    = new(field.Element).Add(feS, new(field.Element).Mult32(feOne, 2))    // λ = s+2
)

// torsionFree reports whether p is in the subgroup G of prime order L, and then
// gives its u coordinate. p must not be of small order. It runs in variable time.
//
// The plain definition, [L]p = O, costs 45 µs. The two exponentiations here cost
// 8 and decide the same, by the Tate pairing of degree 4 after one step of
// descent (Koshelev, eprint 2022/037; Pornin, eprint 2022/1164; Silverman, The
// Arithmetic of Elliptic Curves, III.4.5, X.4.9 and XI.9):
//
// Montgomery's form of the curve is M: v² = u(u²+Au+1), u = (1+y)/(1-y), v = cu/x
// (RFC 7748 section 4.1). M is Z/8 x Z/L, T its point (0,0) of order 2. The curve
// M': Y² = X(X²-2AX+A²-4) has as many points, and there are φ: M -> M' with kernel
// {O,T} and ψ: M' -> M, (X,Y) -> u = Y²/4X², with kernel {O,K}, K = (0,0). ψφ = 2.
//
//  1. P is in ψ(M') exactly when u is a square w². Then P = ψ(P') = ψ(P'+K), where
//     P' = (X, 2wX), X = A+2u+2v/w; to take -w for w is to take P'+K for P'.
//  2. P is in G exactly when P' is in φ(G)+{O,K}, because ψφ(G) = 2G = G. These are
//     2L of the 8L points of M': it takes a character of order 4 to tell.
//  3. T' = (n+2s, 2sλ) is on M', and its tangent Y = λ(X-n) ends in N = (n,0), since
//     X(X-A+2) - λ²(X-n) = (X-n-2s)². So 2T' = N, and f = (Y-λ(X-n))²/(X-n) has the
//     divisor 4T'-4O. As 4 divides p-1, t(Q) = f(Q)^((p-1)/4) is a character of M',
//     of order 4 because T' has order 4 and the pairing is perfect. t is 1 on φ(G),
//     whose order is odd, and on K: f(K) = -nλ² = (is(s+2))² with i² = -1, a fourth
//     power because neither i nor s(s+2) is a square. That makes 2L points, which is
//     all of its kernel: t(P') = 1 exactly when P is in G.
//
// x, X, X-n and f are zero or infinite only where P' has an order that divides 4,
// so P is of small order. Should one come here it is refused: either there is no
// w, or the power at the end is one of 0.
func torsionFree(p *edwards25519.Point) (*field.Element, bool) {
	x, y, z, _ := p.ExtendedCoordinates()
	var num, den, w, u field.Element
	if _, square := w.SqrtRatio(num.Add(z, y), den.Subtract(z, y)); square == 0 {
		return nil, false
	}
	u.Square(&w)

	// f is a ratio, so X and X-n may both be multiplied by x, which v/w = cw/x
	// asks for, and all by z. Of f only its class modulo fourth powers counts:
	// division becomes a third power.
	var cw, bigX, xn, f, t field.Element
	cw.Multiply(feC, &w).Multiply(&cw, z)
	bigX.Add(&u, &u).Add(&bigX, feA).Multiply(&bigX, x).Add(&bigX, cw.Add(&cw, &cw)) // x*X = (A+2u)x + 2cw
	xn.Subtract(&bigX, t.Multiply(feN, x))                                           // x*(X-n)
	f.Multiply(w.Add(&w, &w), &bigX).Subtract(&f, t.Multiply(feL, &xn))              // x*(Y-λ(X-n)), Y = 2wX
	xn.Multiply(&xn, x)
	f.Multiply(&f, &xn).Square(&f).Multiply(&f, &xn) // f = (Y-λ(X-n))² * (X-n)³, times fourth powers

	// (p-1)/4 = 2*(2^252-3) + 1
	t.Pow22523(&f).Square(&t).Multiply(&t, &f)
	return &u, t.Equal(feOne) == 1
}
