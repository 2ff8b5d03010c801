package layer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/crash"
)

// Bounds of the image writer, which works beside the jobs of the host.
const (
	writerMemory     = "256M"
	writerProcessors = 4
)

// Write makes a layer of an index and of files, which it takes as they come. sqfstar searches a folder from its begin for each
// name, so that 100 000 files in one folder take minutes; in 256 folders they take seconds. Equal input gives an equal file,
// wherever the tool has the same version. After an error nothing is left, and neither after a crash, but for a staging file
// (Sweep).
func (h Host) Write(ctx context.Context, index []byte, files iter.Seq2[File, error]) (Info, error) {
	unlock, err := h.working(ctx)
	if err != nil {
		return Info{}, err
	}
	defer unlock()
	path, err := aside(h.layers(), staging)
	if err != nil {
		return Info{}, err
	}
	defer os.Remove(path) //nolint:errcheck // once the layer is in its place there is nothing to remove
	if err := makeImage(ctx, path, func(w io.Writer) error { return writeTar(ctx, w, index, files) }); err != nil {
		return Info{}, fmt.Errorf("write a layer: %w", err)
	}
	if err := setRootTime(path); err != nil {
		return Info{}, fmt.Errorf("write a layer: %w", err)
	}
	info, err := seal(ctx, path)
	if err != nil {
		return Info{}, err
	}
	crash.At(crash.LayerStaged)
	return info, h.publish(path, info.Digest)
}

// makeImage has sqfstar turn the tar that feed writes, all but its end, into an image at path, where nothing may be.
func makeImage(ctx context.Context, path string, feed func(io.Writer) error) error {
	running, kill := context.WithCancel(ctx)
	defer kill()
	// Files of equal size are compared with each other to find duplicates, which takes hours for Go's 175-byte entries: no such
	// check. The inode table stays uncompressed for setRootTime. Blocks are small and files share none, since a kernel reads a
	// block whole: a warm build of caddy on a mount that nothing has read yet took 7.5 s so, 9 s with sqfstar's defaults.
	t := newTool(running, "sqfstar", "-comp", "lz4", "-b", "32K", "-no-fragments", "-no-duplicates", "-no-xattrs", "-noI", "-mkfs-time", "0", "-root-mode", "0755",
		"-exit-on-error", "-quiet", "-no-progress", "-mem", writerMemory,
		"-processors", strconv.Itoa(min(runtime.NumCPU(), writerProcessors)), path)
	stdin, err := t.cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := t.start(); err != nil {
		return err
	}
	fed := pour(stdin, feed)
	broken := errors.Is(fed, syscall.EPIPE) // it has ended by itself, and says why
	if fed != nil && !broken {
		kill() // whatever it would still do is for nothing
	}
	_ = stdin.Close()
	ended := t.wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case fed != nil && (ended == nil || !broken):
		return fed
	}
	return ended
}

// tarEnd is the size of the two empty blocks that end a tar.
const tarEnd = 2 * 512

// pour writes what feed makes of a tar, and its end, of which sqfstar reads the first block and may be gone before the second.
func pour(w io.Writer, feed func(io.Writer) error) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	if err := feed(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	if _, err := w.Write(make([]byte, tarEnd)); err != nil && !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}

// Places in a squashfs image (fs/squashfs/squashfs_fs.h): of the superblock, and of any inode.
const (
	sbRootInode  = 32
	sbInodeTable = 64
	sbEnd        = 96
	inodeMtime   = 8
	uncompressed = 1 << 15 // in the head of a block of metadata
)

// setRootTime sets the time of an image's root folder to 0. sqfstar takes the current time for it and, in version 4.5.1, ignores
// its option -root-time, so that no two images would be equal.
func setRootTime(path string) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var super [sbEnd]byte
	if _, err := file.ReadAt(super[:], 0); err != nil {
		return fmt.Errorf("sqfstar wrote no image: %w", err)
	}
	root := binary.LittleEndian.Uint64(super[sbRootInode:]) // the block's place in the table, then 16 bits: the place in the block
	block := int64(binary.LittleEndian.Uint64(super[sbInodeTable:]) + root>>16)
	var head [2]byte
	if _, err := file.ReadAt(head[:], block); err != nil {
		return fmt.Errorf("find the root folder of the image: %w", err)
	}
	if binary.LittleEndian.Uint16(head[:])&uncompressed == 0 {
		return errors.New("sqfstar compressed the inodes in spite of -noI")
	}
	_, err = file.WriteAt(make([]byte, 4), block+int64(len(head))+int64(root&0xffff)+inodeMtime)
	return err
}

// seal gives the digest of a file that is complete, and flushes it to disk meanwhile.
func seal(ctx context.Context, path string) (Info, error) {
	file, err := os.Open(path)
	if err != nil {
		return Info{}, err
	}
	defer file.Close()
	flushed := make(chan error, 1)
	go func() { flushed <- file.Sync() }()
	info, err := digestOf(ctx, file)
	return info, errors.Join(err, <-flushed)
}

func digestOf(ctx context.Context, r io.Reader) (Info, error) {
	hash := sha256.New()
	buf := make([]byte, 1<<20)
	var size int64
	for {
		if ctx.Err() != nil {
			return Info{}, context.Cause(ctx)
		}
		n, err := r.Read(buf)
		hash.Write(buf[:n])
		size += int64(n)
		if errors.Is(err, io.EOF) {
			return Info{Digest: hex.EncodeToString(hash.Sum(nil)), Size: size}, nil
		}
		if err != nil {
			return Info{}, err
		}
	}
}
