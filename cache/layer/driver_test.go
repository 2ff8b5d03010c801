package layer_test

import (
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/layer/layertest"
)

func newImage[T any](_ T, h layer.Host) layer.Driver      { return layer.NewImage(h) }
func newOldImage(_ *testing.T, h layer.Host) layer.Driver { return layer.NewOldImage(h) }
func newNewImage(_ *testing.T, h layer.Host) layer.Driver { return layer.NewNewImage(h) }
func newCopy[T any](_ T, h layer.Host) layer.Driver       { return layer.NewCopy(h) }

func TestAnImageByFsconfigKeepsTheDriversPromises(t *testing.T) {
	t.Parallel()
	layertest.Run(t, newNewImage)
}

func TestAnImageByMountKeepsTheDriversPromises(t *testing.T) {
	t.Parallel()
	layertest.Run(t, newOldImage)
}

func TestACopyKeepsTheDriversPromises(t *testing.T) {
	t.Parallel()
	layertest.Run(t, newCopy)
}
