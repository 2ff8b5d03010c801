package dashboard

import (
	"slices"
	"strings"
	"testing"
)

func TestHowTheHostDoesIsSaidInAWord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		facts Facts
		want  string
	}{
		"nobody knows": {Facts{}, "Store unknown unsure ?, Spool unknown unsure ?, Disk unknown unsure ?, Orphans unknown unsure ?"},
		"well":         {allFacts(), "Store answers well ✓, Spool 3 objects, 18 MB unsure …, Disk 181 GB free well ✓, Orphans 0 well ✓"},
		"in trouble":   {troubled(), "Store store_unreachable bad !, Spool 1,250 objects, 7.3 GB unsure …, Disk 9.0 GB free bad !, Orphans 4 bad !"},
		"idle":         {Facts{Spool: Spool{Objects: new(int64(0))}, DiskFree: new(int64(1e9))}, "Store unknown unsure ?, Spool empty well ✓, Disk 1.0 GB free well ✓, Orphans unknown unsure ?"},
	} {
		var got []string
		for _, s := range health(test.facts) {
			got = append(got, s.Name+" "+s.Text+" "+s.Class+" "+s.Mark)
		}
		if text := strings.ReplaceAll(strings.Join(got, ", "), gap, " "); text != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, text, test.want)
		}
	}
}

func TestAMeterIsFilledToItsLimit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		use          Use
		text, filled string
		full         bool
	}{
		{Use{}, unknown, "", false},
		{Use{Bytes: new(int64(5e6))}, "5.0 MB; limit unknown", "", false},
		{Use{Bytes: new(int64(5e6)), Limit: new(int64(0))}, "5.0 MB; no limit", "", false},
		{Use{Limit: new(int64(1e9))}, "unknown of 1.0 GB", "", false},
		{Use{new(int64(1)), new(int64(250e6)), new(int64(1e9))}, "250 MB of 1.0 GB (25.0 %), 1 layer", "25", false},
		{Use{new(int64(2000)), new(int64(950e6)), new(int64(1e9))}, "950 MB of 1.0 GB (95.0 %), 2,000 layers", "95", true},
		{Use{Bytes: new(int64(3e9)), Limit: new(int64(1e9))}, "3.0 GB of 1.0 GB (300.0 %)", "100", true},
	} {
		if m := meterOf("Host tier", "layer", test.use); strings.ReplaceAll(m.Text, gap, " ") != test.text || m.Filled != test.filled || m.Full != test.full {
			t.Errorf("%+v, want %+v", m, test)
		}
	}
}

func TestTheStoreIsToldInFull(t *testing.T) {
	t.Parallel()
	names := func(f Facts) (names []string) {
		for _, term := range terms(f) {
			names = append(names, term.Name)
		}
		return names
	}
	if got := names(allFacts()); !slices.Equal(got, []string{"Store", "Store's health", "Last answer", "Spool", "Waits since", "Orphan jobs", "Orphan containers", "Looked at"}) {
		t.Errorf("when it does well: %v", got)
	}
	if got := names(troubled()); !slices.Equal(got, []string{"Store", "Store's health", "What it said", "Fails since", "Last answer", "Spool", "Waits since", "Orphan jobs", "Orphan containers", "Looked at"}) {
		t.Errorf("when it does not: %v", got)
	}
}
