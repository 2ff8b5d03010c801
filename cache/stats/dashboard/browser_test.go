package dashboard

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/leaktest"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats"
	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/stats/statstest"
)

// In a real browser, without a screen: the Debian package chromium.

// chromium starts the browser once for all tests.
var chromium = sync.OnceValues(func() (context.Context, error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", false)) // it shows nothing but our pages, perhaps as root
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, _ := chromedp.NewContext(allocated)
	stopChromium = func() error { // not by the end of a context, which would kill it before it has removed its files
		defer stop()
		return chromedp.Cancel(ctx)
	}
	return ctx, chromedp.Do(ctx)
})

var stopChromium = func() error { return nil }

func TestMain(m *testing.M) {
	leaktest.Main(m, func() error {
		return errors.Join(stopChromium(), removeMonth(), removeFull())
	})
}

// tab opens a tab, in which a test fails that asks for anything but the server, or that the browser complains about.
func tab(t *testing.T, server string) context.Context {
	t.Helper()
	browser, err := chromium()
	if err != nil {
		t.Fatalf("Chromium does not start; scripts/setup.sh installs it: %v", err)
	}
	ctx, closeTab := chromedp.NewContext(browser, chromedp.WithListener(func(event any) {
		switch e := event.(type) {
		case *network.EventRequestWillBeSent:
			if u := e.Request.URL; !strings.HasPrefix(u, server) && !strings.HasPrefix(u, "data:image/svg+xml,") {
				t.Errorf("it asks for %.200s", u)
			}
		case *log.EventEntryAdded:
			if !strings.Contains(e.Entry.Text, "the server responded with a status of") {
				t.Errorf("the browser says %s: %s", e.Entry.Level, e.Entry.Text)
			}
		case *runtime.EventExceptionThrown:
			t.Errorf("a script failed: %s", e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			t.Errorf("a script wrote to the console: %v", e.Args)
		case *cdppage.EventJavascriptDialogOpening:
			t.Errorf("a script says %q", e.Message)
		}
	}))
	t.Cleanup(closeTab)
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	t.Cleanup(cancel)
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// look is how a page is looked at.
type look struct {
	width int64
	media string // screen or print
	dark  bool
	open  bool // what can be unfolded
}

func (l look) String() string {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	return fmt.Sprintf("%d-%s-%s%s", l.width, l.media, scheme, map[bool]string{true: "-open"}[l.open])
}

func looks() (all []look) {
	for _, width := range []int64{360, 768, 1400} {
		all = append(all, look{width: width, media: "screen"}, look{width: width, media: "screen", dark: true})
	}
	paper := look{width: 700, media: "print"}
	return append(all, paper, look{width: paper.width, media: "print", dark: true}, look{width: 360, media: "screen", open: true})
}

// at shows a page so. A height of 0 is that of a usual screen.
func (l look) at(height int64) chromedp.Action[chromedp.Void] {
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: l.width, Height: cmp.Or(height, 900), DeviceScaleFactor: 1, Mobile: l.width < 500,
		})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, tab, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: l.media, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		if err != nil {
			return err
		}
		_, err = cdp.Call(ctx, tab, runtime.Evaluate, runtime.EvaluateParams{
			Expression: fmt.Sprintf("document.querySelectorAll('details').forEach(d => { d.open ||= %t })", l.open),
		})
		return err
	})
}

// inspect returns what is wrong with a page as it is shown.
//
//go:embed testdata/inspect.js
var inspect string

type inspected struct {
	Wrong  []string
	Charts int
	Height int64
}

// pages are the states that an operator may see, with how many charts are in them.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	missing := opener(t.TempDir())
	empty := newLedger(t)
	one := newLedger(t, warm(1, time.Hour))
	month := openMonth(t)
	years, err := full()
	if err != nil {
		t.Fatal(err)
	}
	near := statstest.Month(1)[slices.IndexFunc(statstest.Month(1), func(j stats.Job) bool { return j.CacheReason == "nearest" && len(j.Detail.Compiled) > 50 })].Job
	evil := newLedger(t, hostileJobs()...)
	bare := warm(1, time.Hour)
	bare.ModulesWanted, bare.ModulesHitHost, bare.ModulesHitStore, bare.BuildHit, bare.TestsOK, bare.TestsCached = nil, nil, nil, nil, nil, nil
	unknown := newLedger(t, bare)
	for name, test := range map[string]struct {
		open   Open
		facts  Facts
		path   string
		charts int
	}{
		"missing":         {missing, allFacts(), "/", 0},
		"empty":           {empty, allFacts(), "/", 0},
		"broken":          {broken(t), troubled(), "/", 0},
		"one job":         {one, allFacts(), "/?range=24h", 1},
		"unknown":         {unknown, Facts{}, "/", 0},
		"month":           {month, allFacts(), "/?range=30d", 2},
		"full":            {opener(years), allFacts(), "/?range=all", 2},
		"week":            {month, troubled(), "/?range=7d&project=shop%2Fweb", 2},
		"day":             {month, allFacts(), "/?range=24h", 2},
		"hostile":         {evil, Facts{Host: harm["5000 letters"], Version: harm["a script"], StoreName: harm["5000 letters"]}, "/", 1},
		"job":             {one, allFacts(), "/job/gitlab.example.com/1", 0},
		"job of a month":  {month, allFacts(), "/job/gitlab.example.com/" + near, 0},
		"a hostile job":   {evil, allFacts(), "/job/gitlab.example.com/" + numberOf("a script"), 0},
		"a tall job":      {evil, allFacts(), "/job/gitlab.example.com/" + numberOf("tall marks"), 0},
		"no such job":     {one, allFacts(), "/job/gitlab.example.com/" + strings.Repeat("9", 3000), 0},
		"no such project": {one, allFacts(), "/?project=" + strings.Repeat("y", 5000), 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, test.open, test.facts)
			ctx := tab(t, server.URL)
			if err := chromedp.Do(ctx, chromedp.Navigate(server.URL+test.path)); err != nil {
				t.Fatal(err)
			}
			for _, l := range looks() {
				if err := chromedp.Do(ctx, l.at(0)); err != nil {
					t.Fatal(err)
				}
				got, err := chromedp.Run(ctx, chromedp.Evaluate[inspected](inspect))
				if err != nil {
					t.Fatal(err)
				}
				for _, wrong := range got.Wrong {
					t.Errorf("%s: %s", l, wrong)
				}
				if got.Charts != test.charts {
					t.Errorf("%s: %d charts, want %d", l, got.Charts, test.charts)
				}
				shoot(ctx, t, name, l, got.Height)
			}
		})
	}
}

// shoot keeps pictures to be looked at, if GGE_SCREENSHOTS names a folder.
func shoot(ctx context.Context, t *testing.T, name string, l look, height int64) {
	t.Helper()
	folder := os.Getenv("GGE_SCREENSHOTS")
	if folder == "" {
		return
	}
	err := chromedp.Do(ctx, l.at(min(height, 6000)))
	var picture []byte
	if err == nil {
		picture, err = chromedp.Run(ctx, chromedp.CaptureScreenshot())
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, strings.ReplaceAll(name, " ", "-")+"-"+l.String()+".png"), picture, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}
