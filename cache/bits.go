package cache

// Bits is a set of small numbers: bit n%8 of byte n/8. JSON has it in base64.
type Bits []byte

func makeBits(n int) Bits { return make(Bits, (n+7)/8) }

func allBits(n int) Bits {
	all := makeBits(n)
	for i := range n {
		all.set(i)
	}
	return all
}

func (b Bits) set(n int) { b[n/8] |= 1 << (n % 8) }

// has is false for what lies beyond the end: a journal's word is not trusted to be long enough.
func (b Bits) has(n int) bool { return n/8 < len(b) && b[n/8]&(1<<(n%8)) != 0 }

// with is the union.
func (b Bits) with(other Bits) Bits {
	union := make(Bits, max(len(b), len(other)))
	copy(union, b)
	for i, more := range other {
		union[i] |= more
	}
	return union
}
