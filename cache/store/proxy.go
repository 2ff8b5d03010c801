package store

import (
	"encoding/base64"
	"net/url"
	"os"
	"strings"
	"sync"
)

// ProxySecrets are the logins for proxies that the environment holds, in the forms in which a proxy, or an error about one, may repeat them.
var ProxySecrets = sync.OnceValue(func() []string {
	var all []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} { // as in net/http's ProxyFromEnvironment
		all = append(all, LoginIn(os.Getenv(name))...)
	}
	return all
})

// LoginIn is the login that a URL holds, in each form in which it may be told: nothing if it holds none. What is no URL may hold one too.
func LoginIn(address string) []string {
	if u, err := url.Parse(address); err == nil && u.Host != "" && u.User == nil {
		return nil
	}
	_, rest, found := strings.Cut(address, "://")
	if !found {
		rest = address
	}
	end := strings.LastIndexByte(rest, '@')
	if end < 0 {
		return nil
	}
	login := rest[:end]
	name, password, both := strings.Cut(login, ":")
	all := []string{login}
	if !both {
		return all
	}
	plain := func(text string) string {
		if decoded, err := url.PathUnescape(text); err == nil {
			return decoded
		}
		return text
	}
	return append(all, password, plain(password), base64.StdEncoding.EncodeToString([]byte(plain(name)+":"+plain(password))))
}
