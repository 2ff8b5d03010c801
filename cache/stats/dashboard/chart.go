package dashboard

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Charts are drawn in percent of their plot, so that the style alone decides how large they are; only what is written on them keeps its size.

// chart is a picture of figures over time, with the same figures as a table.
type chart struct {
	ID          string
	Title       string
	Note        string // below the title
	Description string // for those who do not see it
	Empty       string // said instead of a picture, if it has nothing to show
	YTicks      []tick
	XTicks      []tick
	Lines       []line
	Bars        []bar
	Figures     table
}

// tick is a label of an axis. A minor one is left out where there is little room.
type tick struct {
	At    string
	Label string
	Zero  bool // the line from which bars grow
	Minor bool
}

// line is a series of rates. Its number decides its colour, dashes and marks.
type line struct {
	Number int
	Name   string
	Path   string
	Marks  []mark
}

type mark struct {
	X, Y, Label string
	Minor       bool
}

type bar struct {
	X, Y, Width, Height string
	Minus               bool
	Label               string
}

// pos is a position in percent.
func pos(fraction float64) string {
	return strconv.FormatFloat(math.Round(10000*fraction)/100, 'f', -1, 64)
}

// middle is where a slot of so many is, from left to right.
func middle(i, slots int) float64 { return (float64(i) + 0.5) / float64(slots) }

// Where a line has more slots its marks are left out where there is little room, or everywhere.
const (
	fewSlots   = 14
	mostMarked = 40
)

// lineOf draws rates, from the axis' floor to 1, as a line that has gaps where nothing is known. What has no neighbour is marked, else nobody
// would see it.
func lineOf(number int, name string, rates []*float64, floor float64, slotNames []string) line {
	l := line{Number: number, Name: name}
	var path strings.Builder
	known := func(i int) bool { return i >= 0 && i < len(rates) && rates[i] != nil }
	for i, rate := range rates {
		if rate == nil {
			continue
		}
		x, y := pos(middle(i, len(rates))), pos((1-*rate)/(1-floor))
		if known(i - 1) {
			path.WriteString("L" + x + " " + y)
		} else {
			path.WriteString("M" + x + " " + y)
		}
		if alone := !known(i-1) && !known(i+1); alone || len(rates) <= mostMarked {
			l.Marks = append(l.Marks, mark{x, y, slotNames[i] + ": " + percent(rate) + " of " + name, !alone && len(rates) > fewSlots})
		}
	}
	l.Path = path.String()
	return l
}

// axes are where an axis of rates may begin, and what is between its labels, in percent. Good rates are all above nine of ten, and would be one
// line if it always began at nothing.
var axes = []struct{ floor, step int }{{90, 2}, {80, 5}, {50, 10}, {0, 25}}

// rateAxis begins below all rates.
func rateAxis(least float64) (floor float64, ticks []tick) {
	for _, a := range axes {
		if float64(a.floor) > 100*least {
			continue
		}
		for p := a.floor; p <= 100; p += a.step {
			ticks = append(ticks, tick{At: pos(float64(100-p) / float64(100-a.floor)), Label: strconv.Itoa(p) + gap + "%", Zero: p == a.floor})
		}
		return float64(a.floor) / 100, ticks
	}
	return 0, nil
}

// scale is an axis of seconds in a unit that suits them, from one round figure to another, with nothing between them or at an end.
type scale struct {
	least, most, step float64 // in the unit
	unit              float64 // in seconds
	name              string
}

func scaleOf(values []*float64) scale {
	var least, most float64
	for _, v := range values {
		if v != nil {
			least, most = min(least, *v), max(most, *v)
		}
	}
	s := scale{unit: 1, name: "s"}
	switch extent := most - least; {
	case extent >= 4*24*3600:
		s.unit, s.name = 24*3600, "d"
	case extent >= 2*3600:
		s.unit, s.name = 3600, "h"
	case extent >= 2*60:
		s.unit, s.name = 60, "min"
	}
	s.step = roundStep((most - least) / s.unit / 4)
	s.least, s.most = math.Floor(least/s.unit/s.step)*s.step, math.Ceil(most/s.unit/s.step)*s.step
	if s.least == s.most {
		s.most = s.step
	}
	return s
}

// roundStep is the least of 1, 2, 5, 10, 20, … and of their tenths, hundredths, … that is no less.
func roundStep(step float64) float64 {
	if step <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(step)))
	for _, times := range []float64{1, 2, 5} {
		if times*power >= step {
			return times * power
		}
	}
	return 10 * power
}

// at is where seconds are, from the top.
func (s scale) at(seconds float64) float64 { return (s.most - seconds/s.unit) / (s.most - s.least) }

func (s scale) ticks() (ticks []tick) {
	for i := range int(math.Round((s.most-s.least)/s.step)) + 1 {
		v := s.least + float64(i)*s.step
		label := strings.Replace(strconv.FormatFloat(math.Round(v*1e6)/1e6, 'f', -1, 64), "-", "−", 1)
		zero := math.Abs(v) < s.step/2
		if zero {
			label = "0"
		}
		ticks = append(ticks, tick{At: pos(s.at(v * s.unit)), Label: label + gap + s.name, Zero: zero})
	}
	return ticks
}

// widestBar is how much of the plot a bar may take.
const widestBar = 0.12

// barsOf draws seconds as bars from nothing, up or down; what is not known has none.
func barsOf(values []*float64, s scale, labels []string) (bars []bar) {
	width := min(0.8/float64(len(values)), widestBar)
	for i, v := range values {
		if v == nil {
			continue
		}
		top, bottom := s.at(max(*v, 0)), s.at(min(*v, 0))
		bars = append(bars, bar{
			X: pos(middle(i, len(values)) - width/2), Width: pos(width), Y: pos(top), Height: pos(bottom - top), Minus: *v < 0, Label: labels[i],
		})
	}
	return bars
}

// mostLabels is how many labels an axis of time has.
const mostLabels = 7

// timeTicks label every so manieth slot, and every other one of these where there is little room.
func timeTicks(slots []slot, unit string) (ticks []tick) {
	layout := "2 Jan"
	switch {
	case unit == "hour":
		layout = "15:04"
	case slots[len(slots)-1].from.Sub(slots[0].from) > 300*24*time.Hour:
		layout = "Jan 2006"
	}
	every := (len(slots) + mostLabels - 1) / mostLabels
	for i := 0; i < len(slots); i += every {
		ticks = append(ticks, tick{At: pos(middle(i, len(slots))), Label: slots[i].from.Format(layout), Minor: i/every%2 == 1})
	}
	return ticks
}
