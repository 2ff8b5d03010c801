package settings

import (
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/docker/go-units"
)

// Device is a device of the host: path[:path in the container[:permissions]].
type Device string

// Parts are the two paths and the permissions.
func (d Device) Parts() (host, container, permissions string) {
	parts := strings.SplitN(string(d), ":", 3)
	host, container, permissions = parts[0], parts[0], "rwm"
	if len(parts) > 1 {
		container = parts[1]
	}
	if len(parts) > 2 {
		permissions = parts[2]
	}
	return host, container, permissions
}

// Ulimit is a limit of the kernel's, soft[:hard].
type Ulimit string

// Parse reads the limit of a name.
func (u Ulimit) Parse(name string) (*units.Ulimit, error) {
	return units.ParseUlimit(name + "=" + string(u))
}

// GPUs is what docker run --gpus takes: all, a number, or key=value fields separated by commas.
type GPUs string

// GPURequest is GPUs taken apart.
type GPURequest struct {
	Driver       string
	Count        int // -1 is all
	DeviceIDs    []string
	Capabilities []string
	Options      map[string]string
}

// Parse reads the request, with the defaults of docker run.
func (g GPUs) Parse() (GPURequest, error) {
	request := GPURequest{Count: 1, Capabilities: []string{"gpu"}, Options: map[string]string{}}
	fields, err := csvFields(string(g))
	if err != nil {
		return request, err
	}
	seen := map[string]bool{}
	for _, field := range fields {
		key, value, named := strings.Cut(field, "=")
		if !named {
			key, value = "count", field
		}
		if seen[key] {
			return request, fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		if err := request.set(key, value); err != nil {
			return request, err
		}
	}
	if seen["device"] && seen["count"] {
		return request, errors.New("count and device exclude each other")
	}
	if seen["device"] {
		request.Count = 0
	}
	return request, nil
}

func (r *GPURequest) set(key, value string) (err error) {
	switch key {
	case "count":
		if r.Count = -1; value != "all" {
			r.Count, err = strconv.Atoi(value)
		}
		if err != nil {
			return fmt.Errorf("%q is no number, and not all", value)
		}
	case "driver":
		r.Driver = value
	case "device":
		r.DeviceIDs = strings.Split(value, ",")
	case "capabilities":
		r.Capabilities = append(strings.Split(value, ","), "gpu")
	case "options":
		options, err := csvFields(value)
		if err != nil {
			return err
		}
		for _, option := range options {
			name, setting, _ := strings.Cut(option, "=")
			r.Options[name] = setting
		}
	default:
		return fmt.Errorf("%q is unknown; known are count, device, driver, capabilities and options", key)
	}
	return nil
}

// csvFields splits at commas, but not within quotes.
func csvFields(text string) ([]string, error) {
	fields, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return nil, fmt.Errorf("its fields cannot be told apart: %w", err)
	}
	return fields, nil
}
