package settings

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// named is what a key is called that may hold a secret.
var named = regexp.MustCompile(`(?i)key|secret|token|passw|auth|login|header|cred|gateway|endpoint`)

// noSecrets are keys of such names that hold none.
var noSecrets = []string{"cache.s3.AuthenticationType", "cache.s3.ServerSideEncryptionKeyID"}

// eachKey calls do with each key of the settings.
func eachKey(v reflect.Value, above string, do func(key string, v reflect.Value)) {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("toml"), ",")
		if key := above + name; name != "" && v.Field(i).Kind() == reflect.Struct && v.Field(i).NumField() > 1 {
			eachKey(v.Field(i), key+".", do)
		} else {
			do(key, v.Field(i))
		}
	}
}

func TestEachKeyThatIsNamedLikeASecretIsHiddenAndMasked(t *testing.T) {
	t.Parallel()
	s := Default()
	var found []string
	eachKey(reflect.ValueOf(s).Elem(), "", func(key string, v reflect.Value) {
		if !named.MatchString(key[strings.LastIndexByte(key, '.')+1:]) || slices.Contains(noSecrets, key) {
			return
		}
		found = append(found, key)
		secret := "http://user:of-" + key + "@example.com"
		if v.Kind() == reflect.Map {
			v.Set(reflect.ValueOf(map[string]string{"Authorization": "Bearer " + secret}))
			return
		}
		v.SetString(secret)
	})
	if !slices.Equal(sorted(found), sorted(secretKeys)) {
		t.Errorf("of these names are %q, and hidden are %q", found, secretKeys)
	}
	masked := fmt.Sprint(s.Secrets())
	for _, key := range found {
		if !strings.Contains(masked, "of-"+key) && key != "cache.s3.AccessKey" { // which S3 itself shows
			t.Errorf("the log would show %s", key)
		}
		r := &report{raw: map[string]any{key: "of-" + key}}
		r.add(key, "of-"+key, "is wrong")
		if problem := fmt.Sprint(r.err()); strings.Contains(problem, "of-"+key) {
			t.Errorf("an error shows %s: %s", key, problem)
		}
	}
	if none := Default().Secrets(); none != nil {
		t.Errorf("without any there are %v", none)
	}
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
