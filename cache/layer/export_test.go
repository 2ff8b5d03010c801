package layer

// NewOldImage makes an Image as on a kernel that takes no lowerdir+.
func NewOldImage(h Host) *Image { return &Image{host: h, mounter: mountByMount} }

// NewNewImage makes an Image that falls back to nothing.
func NewNewImage(h Host) *Image { return &Image{host: h, mounter: mountByFsconfig} }

// NewCopyOf makes a Copy of layers that unpack to so many bytes at the most.
func NewCopyOf(h Host, most int64) *Copy { return &Copy{host: h, most: most} }

// Relative and ImageContext are decisions that are tested by themselves.
var (
	Relative     = relative
	ImageContext = imageContext
	Pour         = pour
)

// OpenFolder opens a folder that a job may have made.
func OpenFolder(path string) error {
	f, err := openFolder(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// OverlayOptions are the options of an overlay as on a host with or without SELinux.
func OverlayOptions(enforced bool) map[string]string {
	options := map[string]string{}
	for _, o := range (overlay{enforced: enforced}).options() {
		options[o.key] = o.value
	}
	return options
}

// Add notes a file of a job.
func (c *Changes) Add(name string) { c.add(name) }
