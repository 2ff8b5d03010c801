package layer_test

import (
	"fmt"
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

func BenchmarkMount(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprint(n, " layers"), func(b *testing.B) {
			f := layertest.New(b, newImage)
			var layers []string
			for i := range n {
				layers = append(layers, f.Write(map[string]string{fmt.Sprint(i): "x"}))
			}
			w := f.Mount("job", layers...)
			for b.Loop() {
				b.StopTimer()
				f.Must(f.Driver.Unmount(b.Context(), w))
				b.StartTimer()
				f.Must(f.Driver.Mount(b.Context(), w, layers))
			}
		})
	}
}

func BenchmarkLayer(b *testing.B) {
	f := layertest.New(b, newImage)
	digest := f.Write(map[string]string{"a": "a"})
	_, err := f.Driver.Layer(b.Context(), digest)
	f.Must(err)
	b.Run("mounted", func(b *testing.B) {
		for b.Loop() {
			_, err := f.Driver.Layer(b.Context(), digest)
			f.Must(err)
		}
	})
	b.Run("not mounted", func(b *testing.B) {
		for b.Loop() {
			f.Must(f.Driver.Release(b.Context(), digest))
			_, err := f.Driver.Layer(b.Context(), digest)
			f.Must(err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	b.Run("40 000 small files", func(b *testing.B) {
		f := layertest.New(b, newImage)
		b.SetBytes(40_000 * 175)
		for b.Loop() {
			_, err := f.Host.Write(b.Context(), nil, smallFiles(40_000))
			f.Must(err)
		}
	})
	b.Run("the Go installation", func(b *testing.B) {
		f := layertest.New(b, newImage)
		var size int64
		for file, err := range goroot(b, ".") {
			f.Must(err)
			size += file.Size
		}
		b.SetBytes(size)
		for b.Loop() {
			_, err := f.Host.Write(b.Context(), nil, goroot(b, "."))
			f.Must(err)
		}
	})
}
