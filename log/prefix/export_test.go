package prefix

// UpdateCounted is Update, with the number of inner nodes that it hashed.
func UpdateCounted(t *Tree, leaves Leaves, batch []Leaf, limit uint64) (*Tree, int, error) {
	next, _, joins, err := t.update(leaves, batch, []uint64{limit})
	return next, joins, err
}

// Held is how many leaves a tree has in memory, counted one by one.
func Held(t *Tree) int {
	n := countHeld(&t.root)
	if n != t.held {
		panic("the tree has lost count")
	}
	return n
}

func countHeld(n *node) int {
	if n.kids != nil {
		return countHeld(&n.kids[0]) + countHeld(&n.kids[1])
	}
	if n.held != nil && n.held.len() != int(n.count) {
		panic("a bucket holds some of its leaves")
	}
	return n.held.len()
}
