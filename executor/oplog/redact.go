package oplog

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
)

// Masked stands where a secret was; GitLab's job log has the same word.
const Masked = "[MASKED]"

// shortestSecret keeps a password such as "1" from masking half the log.
const shortestSecret = 4

// Redactor is a logrus hook that masks secrets in the message and the fields of a line.
type Redactor struct {
	secrets *strings.Replacer
}

// Redact returns a hook that masks every occurrence of the secrets: as they are, and as URLs and quoted strings have
// them. Secrets shorter than 4 bytes are ignored. A logger takes several: add one when more secrets become known.
func Redact(secrets []string) *Redactor {
	var forms []string
	for _, secret := range secrets {
		quoted := strconv.Quote(secret)
		// A secret that is a file often ends with a newline, which those who use it drop.
		forms = append(forms, secret, strings.TrimSpace(secret), url.QueryEscape(secret), url.PathEscape(secret), quoted[1:len(quoted)-1])
	}
	forms = slices.DeleteFunc(forms, func(form string) bool { return len(form) < shortestSecret })
	// The longest first, or a secret that begins with another one would leave its end behind.
	slices.SortFunc(forms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	var pairs []string
	for _, form := range slices.Compact(forms) {
		pairs = append(pairs, form, Masked)
	}
	return &Redactor{secrets: strings.NewReplacer(pairs...)}
}

// Levels returns all levels.
func (*Redactor) Levels() []logrus.Level { return logrus.AllLevels }

// Mask masks the secrets in a text.
func (r *Redactor) Mask(text string) string { return r.secrets.Replace(text) }

// Fire masks the secrets of a line. The entry is the line's own: logrus copies it, with its fields, before the hooks.
func (r *Redactor) Fire(line *logrus.Entry) error {
	line.Message = r.secrets.Replace(line.Message)
	for name, value := range line.Data {
		line.Data[name] = r.field(value)
	}
	return nil
}

// field masks a field. Errors, lists and structs become text, so that what is masked is what is written: a formatter
// would render them its own way, and fail on what JSON has no form for.
func (r *Redactor) field(value any) any {
	switch v := value.(type) {
	case nil, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64:
		return v // the number of a job is none of the secrets, even if it looks like one
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			return v
		}
	case []byte:
		return r.secrets.Replace(string(v))
	}
	return r.secrets.Replace(fmt.Sprint(value))
}
