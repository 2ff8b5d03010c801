// Package layer keeps layers and mounts them. A layer is one immutable image file (squashfs), named by the SHA-256 of its
// bytes, the same on every host and in the store. It holds a folder "tree", which jobs see, and a file "index", which tells what is
// in it in the words of whoever wrote it. A Driver shows several layers as one folder in which a job may write.
//
// The package knows nothing of Go, jobs or stores.
package layer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"
)

// ErrUnsupported says that this host lacks what a driver needs; the text names it.
var ErrUnsupported = errors.New("unsupported by this host")

// ErrCorrupt says that a layer file is not what its name says.
var ErrCorrupt = errors.New("damaged layer")

// Parts of a layer.
const (
	Tree  = "tree"  // the folder that jobs see
	Index = "index" // the file beside it
)

// Host is the part of a host's state directory that holds layers:
//
//	layers/<digest>.sqfs   layer files; they appear by a rename
//	mnt/<digest>/          their content, as long as it is held readable (Driver.Layer)
type Host struct{ Dir string }

// File is the path of a layer's image file, whether there is one or not.
func (h Host) File(digest string) string { return filepath.Join(h.Dir, "layers", digest+".sqfs") }

// Mnt is the path at which a driver makes a layer's content readable.
func (h Host) Mnt(digest string) string { return filepath.Join(h.Dir, "mnt", digest) }

// Driver makes layers readable and mounts stacks of them. All methods may be called by several goroutines and several processes at
// the same time; what is mounted is the kernel's to tell, never a file's. Every method ends soon after ctx does.
type Driver interface {
	// Layer makes the content of the layer file readable and gives its folder, which holds Tree and Index. A layer that is
	// readable already costs next to nothing. fs.ErrNotExist says that there is no such layer file.
	Layer(ctx context.Context, digest string) (dir string, err error)
	// Release ends what Layer began; the layer file stays. Stacks that are mounted over the layer are not disturbed. A layer
	// that is not readable is no error.
	Release(ctx context.Context, digest string) error
	// Held lists the digests of all layers that are readable.
	Held(ctx context.Context) ([]string, error)
	// Mount shows the trees of the layers, the first on top, as one writable folder at w.Merged(). The layers are made readable
	// first. A work folder that was mounted and unmounted is mounted again with what was changed in it, even after a crash.
	Mount(ctx context.Context, w Work, layers []string) error
	// Unmount ends that and keeps what was changed. A work folder that is not mounted, or does not exist, is no error.
	Unmount(ctx context.Context, w Work) error
	// Changes tells what was changed in a mounted work folder since it was first mounted. It is called when nobody writes there
	// any more.
	Changes(ctx context.Context, w Work, layers []string) (Changes, error)
}

// Watcher is a Driver that can tell which files are opened in a mounted work folder.
type Watcher interface {
	// Watch calls seen, from one goroutine, with the path of each regular file that any process opens below w.Merged(), relative to it; a path
	// may come several times. target is where containers see the folder. stop ends it once all that was opened before has been
	// told; its error says that some of it was lost.
	Watch(w Work, target string, seen func(path string)) (stop func() error, err error)
}

// Work is the folder of one mounted stack. It must lie on a filesystem that can hold an overlay's upper directory. Only root may
// enter it; what is below Merged is shown to a container.
type Work struct{ Dir string }

// Merged is the folder that shows the layers and takes changes.
func (w Work) Merged() string { return filepath.Join(w.Dir, "merged") }

// Changes is what was changed in a work folder. The names are a job's: hostile.
type Changes struct {
	Files   []string // regular files that were made or may have been changed, slash-separated, relative to Merged, sorted
	Removed int      // files and folders of layers that were removed
	Other   int      // what is neither file nor folder, or lies deeper than anybody would look, or is beyond what there is room for: never taken

	bytes int // of the names of Files
}

// Bounds of the names of files, all of which are held in memory. No program that opens files by their paths makes longer ones than maxPath (PATH_MAX). A
// million files of a module cache have some 100 MB of names.
const (
	maxPath  = 4096
	maxNames = 256 << 20 // bytes
)

// add notes a file of a job.
func (c *Changes) add(name string) {
	if len(name) > maxPath || c.bytes+len(name) > maxNames {
		c.Other++
		return
	}
	c.bytes += len(name)
	c.Files = append(c.Files, name)
}

// File is one file of a layer to be written. Folders above it come into being by themselves, 0777 and of the time of the layer's
// oldest file, so that any user of a container may add to them and remove them.
type File struct {
	Name    string // slash-separated, below Tree
	Mode    fs.FileMode
	ModTime time.Time // whole seconds between 1970 and 2106: squashfs has no more
	Size    int64     // what Open gives has to have this size exactly
	Open    func() (io.ReadCloser, error)
}

// Info is a layer file that was written.
type Info struct {
	Digest string // of the file's bytes: lower-case hex of SHA-256
	Size   int64  // bytes
}
