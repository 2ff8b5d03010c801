package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/docker/docker/api/types/registry"
)

// dockerConfig is what counts here of a docker configuration (config.json).
type dockerConfig struct {
	Auths       map[string]registry.AuthConfig `json:"auths"`
	CredsStore  string                         `json:"credsStore"`  // a helper that keeps the logins for all registries
	CredHelpers map[string]string              `json:"credHelpers"` // registry → helper
}

var errNotAName = errors.New("path traversal is not allowed")

// readAuths reads the logins of a docker configuration, in the order of their registries. Those of helpers count more than what is written.
// No error holds anything of a login.
func readAuths(ctx context.Context, r io.Reader) ([]registry.AuthConfig, error) {
	var config dockerConfig
	if err := json.NewDecoder(r).Decode(&config); err != nil && !errors.Is(err, io.EOF) { // an empty one is none
		return nil, fmt.Errorf("it is not the JSON of a docker configuration: %w", err)
	}
	found := map[string]registry.AuthConfig{}
	for address, auth := range config.Auths {
		auth, err := decodeAuth(auth)
		if err != nil {
			return nil, fmt.Errorf("auths, %s: %w", address, err)
		}
		auth.ServerAddress = address
		found[address] = auth
	}
	helpers := map[string]string{}
	if config.CredsStore != "" {
		addresses, err := listOf(ctx, config.CredsStore)
		if err != nil {
			return nil, fmt.Errorf("credsStore: %w", err)
		}
		for _, address := range addresses {
			helpers[address] = config.CredsStore
		}
	}
	maps.Copy(helpers, config.CredHelpers)
	for _, address := range slices.Sorted(maps.Keys(helpers)) {
		auth, err := ask(ctx, helpers[address], address)
		if err != nil {
			return nil, fmt.Errorf("the helper for %s: %w", address, err)
		}
		found[address] = auth
	}
	var auths []registry.AuthConfig
	for _, address := range slices.Sorted(maps.Keys(found)) {
		// An entry that names nobody, as docker login leaves beside a helper's, must not hide the login of another source.
		if a := found[address]; a.Username+a.Password+a.IdentityToken+a.RegistryToken != "" {
			auths = append(auths, a)
		}
	}
	return auths, nil
}

// decodeAuth reads "auth", the base64 of user:password, which counts more than the two.
func decodeAuth(auth registry.AuthConfig) (registry.AuthConfig, error) {
	if auth.Auth == "" {
		return auth, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(auth.Auth)
	username, password, ok := strings.Cut(string(decoded), ":")
	if err != nil || !ok || username == "" {
		return auth, errors.New("auth has to be the base64 of user:password")
	}
	auth.Auth, auth.Username, auth.Password = "", username, strings.Trim(password, "\x00")
	return auth, nil
}

// tokenUser is the user of a login that is an identity token, in the answers of helpers.
const tokenUser = "<token>"

// ask gives a helper's login for a registry; an empty one if it has none.
func ask(ctx context.Context, helper, address string) (registry.AuthConfig, error) {
	out, err := callHelper(ctx, helper, "get", address)
	if err != nil {
		if strings.TrimSpace(string(out)) == "credentials not found in native keychain" { // the protocol has words for it, and no code
			return registry.AuthConfig{}, nil
		}
		return registry.AuthConfig{}, err
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return registry.AuthConfig{}, fmt.Errorf("docker-credential-%s did not answer with the JSON of a login", helper)
	}
	if answer.Username == tokenUser {
		return registry.AuthConfig{ServerAddress: address, IdentityToken: answer.Secret}, nil
	}
	return registry.AuthConfig{ServerAddress: address, Username: answer.Username, Password: answer.Secret}, nil
}

// listOf gives the registries that a helper has logins for.
func listOf(ctx context.Context, helper string) ([]string, error) {
	out, err := callHelper(ctx, helper, "list", "unused")
	if err != nil {
		return nil, err
	}
	var users map[string]string
	if err := json.Unmarshal(out, &users); err != nil {
		return nil, fmt.Errorf("docker-credential-%s did not answer with the JSON of a list", helper)
	}
	return slices.Collect(maps.Keys(users)), nil
}

// A helper may ask a server.
const (
	helperTimeout = 30 * time.Second
	helperAnswer  = 1 << 20 // bytes
)

// callHelper runs docker-credential-<helper> from the PATH of the Runner. The job may name the helper, not where it is, and its
// variables are none of the helper's business. What is asked goes in, and what is answered comes out, by pipes.
func callHelper(ctx context.Context, helper, action, input string) ([]byte, error) {
	name := "docker-credential-" + helper
	if helper != filepath.Base(helper) {
		return nil, fmt.Errorf("%q: %w: name the helper without a folder", name, errNotAName)
	}
	ctx, cancel := bounded(ctx, helperTimeout, "an answer of "+name)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, action)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "CUSTOM_ENV_") })
	var answer bytes.Buffer
	cmd.Stdout = &limitedWriter{w: &answer, left: helperAnswer}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // often a script: what it started ends with it
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil { // what it printed may be the secret
		return answer.Bytes(), fmt.Errorf("%s %s: %w; see what it says when you run it on the host", name, action, err)
	}
	return answer.Bytes(), nil
}
