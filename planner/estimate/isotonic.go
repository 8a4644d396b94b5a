package estimate

// Isotonic returns the series that never falls and is closest to y in the sum of weighted squares (pool adjacent
// violators: Barlow et al. 1972). Values below the floor are raised to it. Weights are above 0, one for each number.
func Isotonic(y, weights []float64, floor float64) []float64 {
	type block struct {
		mean, weight float64
		size         int
	}
	var blocks []block
	for i, x := range y {
		b := block{x, weights[i], 1}
		for len(blocks) > 0 && blocks[len(blocks)-1].mean > b.mean {
			last := blocks[len(blocks)-1]
			blocks = blocks[:len(blocks)-1]
			w := last.weight + b.weight
			b = block{(last.mean*last.weight + b.mean*b.weight) / w, w, last.size + b.size}
		}
		blocks = append(blocks, b)
	}
	out := make([]float64, 0, len(y))
	for _, b := range blocks {
		for range b.size {
			out = append(out, max(floor, b.mean))
		}
	}
	return out
}
