package report

import (
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize"
)

// unknown is what stands for what nobody knows, which is never 0.
const unknown = "-"

func count[N int | int64](n N) string { return humanize.Comma(int64(n)) }

// percent rounds, but what is not all is not 100 %, and what is not nothing is not 0 %.
func percent(rate *float64) string {
	switch {
	case rate == nil:
		return unknown
	case *rate <= 0:
		return "0%"
	case *rate >= 1:
		return "100%"
	}
	return fmt.Sprintf("%.1f%%", min(max(*rate*100, 0.1), 99.9))
}

// duration has two or three digits that matter.
func duration(seconds float64) string {
	sign := ""
	if seconds < 0 {
		sign, seconds = "-", -seconds
	}
	whole := int64(math.Round(seconds))
	switch {
	case seconds < 9.995:
		return fmt.Sprintf("%s%.2fs", sign, seconds)
	case seconds < 99.95:
		return fmt.Sprintf("%s%.1fs", sign, seconds)
	case whole < 3600:
		return fmt.Sprintf("%s%dm%02ds", sign, whole/60, whole%60)
	case whole < 48*3600:
		return fmt.Sprintf("%s%dh%02dm", sign, whole/3600, whole%3600/60)
	}
	return fmt.Sprintf("%s%sd%02dh", sign, count(whole/86400), whole%86400/3600)
}

// each is the mean of a sum over so many jobs.
func each(sum float64, jobs int) string {
	if jobs == 0 {
		return unknown
	}
	return duration(sum / float64(jobs))
}

// size is bytes, if they are known.
func size(bytes int64, known bool) string {
	if !known {
		return unknown
	}
	return humanize.Bytes(uint64(max(bytes, 0)))
}

// age is a time in words, such as "38 minutes".
func age(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "a second"
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", d/time.Second)
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d hours", d/time.Hour)
	}
	return fmt.Sprintf("%d days", d/(24*time.Hour))
}
