package prefix

// UpdateCounted is Update, with the number of inner nodes that it hashed.
func UpdateCounted(t *Tree, leaves Leaves, batch []Leaf, limit uint64) (*Tree, int, error) {
	return t.update(leaves, batch, limit)
}
