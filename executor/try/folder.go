package try

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// removeFolder removes a folder with all below it. What is mounted there is unmounted first and never reached into:
// caches may still be mounted, which the stage commands leave for the next job.
func removeFolder(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var problems []error
	for _, point := range mountsBelow(dir, string(table)) {
		if err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW); err != nil {
			problems = append(problems, fmt.Errorf("unmount %s: %w", point, err))
		}
	}
	if len(problems) == 0 {
		problems = append(problems, os.RemoveAll(dir))
	}
	if err := errors.Join(problems...); err != nil {
		return fmt.Errorf("%s is left behind, please remove it: %w", dir, err)
	}
	return nil
}

// mountsBelow finds the mount points below a folder, the innermost first, in the form of /proc/self/mountinfo, where
// each line's fifth field is the mount point and a later line may be mounted upon an earlier one (proc(5)).
func mountsBelow(dir, table string) []string {
	var points []string
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") {
			points = append(points, point)
		}
	}
	slices.Reverse(points)
	return points
}

// unescape undoes what the kernel writes for the characters that separate fields.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
