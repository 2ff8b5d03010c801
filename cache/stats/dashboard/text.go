package dashboard

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dustin/go-humanize"
)

// How figures and names are written.

// unknown stands for what nobody knows, which is never 0.
const unknown = "unknown"

// How much of a name is shown, in characters: in a table and where there is room.
const (
	shortName = 60
	longName  = 400
)

// mostMarks is how many combining marks a character may bear: towers of them would cover other lines.
const mostMarks = 3

// clean makes text that anybody may have written safe to show in a line: what steers a terminal, the direction of text or its joining, and
// what cannot be seen, is shown as its code. It is cut after so many characters.
func clean(s string, most int) string {
	var b strings.Builder
	marks := 0
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if marks++; !unicode.In(r, unicode.Mn, unicode.Me) {
			marks = 0
		}
		shown := string(r)
		if marks > mostMarks || !unicode.IsGraphic(r) {
			shown = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if most -= utf8.RuneCountInString(shown); most < 0 {
			return b.String() + "…"
		}
		b.WriteString(shown)
	}
	return b.String()
}

// or is a text, or what to say where there is none.
func or(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

func count[N int | int64](n N) string { return humanize.Comma(int64(n)) }

func countOf[N int | int64](n *N) string {
	if n == nil {
		return unknown
	}
	return count(*n)
}

// plural is a number with its noun.
func plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

// gap keeps a figure and its unit in one line.
const gap = "\u00a0"

// percent never rounds to all or nothing what is not.
func percent(rate *float64) string {
	switch {
	case rate == nil:
		return unknown
	case *rate > 0 && *rate < 0.001:
		return "<" + gap + "0.1" + gap + "%"
	case *rate < 1 && *rate > 0.999:
		return "99.9" + gap + "%"
	}
	return strconv.FormatFloat(*rate*100, 'f', 1, 64) + gap + "%"
}

// seconds is a time in the units that suit it.
func seconds(s float64) string {
	sign := ""
	if s < 0 {
		sign, s = "−", -s
	}
	whole := int64(math.Round(s))
	switch {
	case s < 0.005:
		return "0" + gap + "s"
	case s < 1:
		return sign + strconv.FormatFloat(s, 'f', 2, 64) + gap + "s"
	case s < 59.95:
		return sign + strconv.FormatFloat(s, 'f', 1, 64) + gap + "s"
	case whole < 3600:
		return sign + units(whole, 60, "min", 1, "s")
	case whole < 24*3600:
		return sign + units(whole, 3600, "h", 60, "min")
	}
	return sign + units(whole, 24*3600, "d", 3600, "h")
}

// units is a time as so many of a unit and, if any, so many of a smaller one.
func units(whole, unit int64, name string, smaller int64, smallerName string) string {
	text := count(whole/unit) + gap + name
	if rest := whole % unit / smaller; rest > 0 {
		text += " " + count(rest) + gap + smallerName
	}
	return text
}

func secondsOf(s *float64) string {
	if s == nil {
		return unknown
	}
	return seconds(*s)
}

func size(bytes int64) string {
	return strings.Replace(humanize.Bytes(uint64(max(bytes, 0))), " ", gap, 1)
}

func sizeOf(bytes *int64) string {
	if bytes == nil {
		return unknown
	}
	return size(*bytes)
}

// clock is a time of the host's zone, to the minute.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04") }

// zone names the host's time zone.
func zone(now time.Time) string {
	name, offset := now.Zone()
	if offset == 0 && name == "UTC" {
		return name
	}
	return fmt.Sprintf("%s (UTC%s)", name, now.Format("-07:00"))
}
