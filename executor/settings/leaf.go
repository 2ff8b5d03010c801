package settings

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
)

// Bytes is a size. In the file it is a string such as "512m", in powers of 1024 as Docker reads them, or a whole
// number of bytes.
type Bytes int64

// sizePattern is the part of what units.RAMInBytes takes that people write. That function also takes 0x1p9.
var sizePattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+)? ?([kKmMgGtT]([iI]?[bB])?|[bB])?$`)

// largestSize is one EiB. Above it a float, which RAMInBytes computes in, no longer fits an int64.
const largestSize = 1 << 60

// errSize is what a bad size is told.
var errSize = errors.New(`not a size; use for example "512m" or "2g" (units k, m, g, t), or a whole number of bytes`)

// UnmarshalTOML reads a string or a whole number.
func (b *Bytes) UnmarshalTOML(value any) error {
	var size int64
	switch v := value.(type) {
	case int64:
		size = v
	case string:
		if !sizePattern.MatchString(v) {
			return errSize
		}
		var err error
		if size, err = units.RAMInBytes(v); err != nil {
			return errSize
		}
		if size == 0 && strings.ContainsAny(v, "123456789") {
			return errors.New("less than one byte; " + errSize.Error())
		}
	default:
		return errSize
	}
	if size < 0 || size > largestSize {
		return fmt.Errorf("out of range; has to be between 0 and %d bytes", int64(largestSize))
	}
	*b = Bytes(size)
	return nil
}

// String returns the size in its largest unit that needs no fraction: 512m.
func (b Bytes) String() string {
	const names = "kmgt"
	size, unit := int64(b), ""
	for i := 0; i < len(names) && size != 0 && size%units.KiB == 0; i++ {
		size, unit = size/units.KiB, names[i:i+1]
	}
	return strconv.FormatInt(size, 10) + unit
}

// MarshalText is for the TOML encoder.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// CPUs is a number of processors, counted in billionths like NanoCPUs of Docker's API. In the file it is a string
// such as "1.5", as in GitLab Runner, or a number.
type CPUs int64

// The least is what Docker documents (verifyPlatformContainerResources in daemon/daemon_unix.go). The most that it takes
// is what the host has, which it checks itself; ours, the kernel's largest NR_CPUS, keeps billionths within an int64.
const fewestCPUs, mostCPUs, oneCPU = 0.01, 8192, 1e9

// UnmarshalTOML reads a string or a number.
func (c *CPUs) UnmarshalTOML(value any) error {
	count := math.NaN()
	switch v := value.(type) {
	case int64:
		count = float64(v)
	case float64:
		count = v
	case string:
		if parsed, err := strconv.ParseFloat(v, 64); err == nil {
			count = parsed
		}
	}
	if !(count >= fewestCPUs && count <= mostCPUs) { // this way round, since NaN compares false
		return fmt.Errorf(`not a number of processors; use for example "1.5" or 2, from %v to %v; leave the key out for no limit`, fewestCPUs, mostCPUs)
	}
	*c = CPUs(math.Round(count * oneCPU))
	return nil
}

// String returns the number of processors: 1.5.
func (c CPUs) String() string { return strconv.FormatFloat(float64(c)/oneCPU, 'f', -1, 64) }

// MarshalText is for the TOML encoder.
func (c CPUs) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Duration is a span of time. In the file it is a string with units, such as "1m30s".
type Duration struct{ time.Duration }

// UnmarshalTOML reads a string. A bare number is refused: the library would take it as nanoseconds, a user means seconds.
func (d *Duration) UnmarshalTOML(value any) error {
	text, ok := value.(string)
	if !ok {
		return errDuration
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return errDuration
	}
	d.Duration = parsed
	return nil
}

// errDuration is what a bad duration is told.
var errDuration = errors.New(`not a duration; use a string with units, for example "10s", "15m" or "1h30m"`)

// MarshalText is for the TOML encoder.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// StringOrList is a list of strings that the file may also give as one string.
type StringOrList []string

// UnmarshalTOML reads a string or a list of strings.
func (l *StringOrList) UnmarshalTOML(value any) error {
	elements, ok := value.([]any)
	if !ok {
		elements = []any{value}
	}
	list := make(StringOrList, len(elements))
	for i, element := range elements {
		if list[i], ok = element.(string); !ok {
			return errors.New(`wrong type; has to be a string or a list of strings, such as "a" or ["a", "b"]`)
		}
	}
	*l = list
	return nil
}
