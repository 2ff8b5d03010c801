package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

// Bounds of the faulty servers, which are not waited for as long as real ones, but on a busy machine long enough.
const (
	faultCall     = 30 * time.Second
	faultStall    = 10 * time.Second
	faultHang     = 2 * time.Second // faultStall of those that hang
	faultAttempts = 2
)

// What a call may take: one that is not tried again, one that is, one that waits for what hangs. All are below faultCall.
const (
	soon  = 5 * time.Second
	again = 8 * time.Second
	late  = 20 * time.Second
)

// bigObject takes three ranges, the last of them short.
const bigObject = 2*store.RangeSize + 12345

// fault answers a request, or lets next do so. n says how often the same request came before.
type fault func(w http.ResponseWriter, r *http.Request, n int, next http.Handler)

// class is what a call ends with.
type class string

const (
	works   class = "works"
	refused class = "refused"
	passes  class = "may pass"
)

func classOf(err error) class {
	switch {
	case err == nil:
		return works
	case errors.Is(err, store.ErrRefused) && !errors.Is(err, fs.ErrNotExist):
		return refused
	case errors.Is(err, fs.ErrNotExist):
		return "does not exist"
	default:
		return passes
	}
}

func TestWhateverABucketsServerDoesEachCallEndsInTimeAndSaysWhatItIs(t *testing.T) {
	t.Parallel()
	const reads, all = "Get GetFile", "Put Get PutFile GetFile List Delete"
	for name, test := range map[string]struct {
		fault  fault
		want   class
		fails  string // the calls that end with want; the others work
		within time.Duration
		says   string
	}{
		"denied":              {answer(403, "AccessDenied"), refused, all, soon, "[cache.s3]"},
		"denied by a proxy":   {plain(403, "<html>No"), refused, all, soon, "AccessKey and BucketName in [cache.s3]"},
		"unknown access key":  {answer(403, "InvalidAccessKeyId"), refused, all, soon, "correct AccessKey in [cache.s3]"},
		"wrong secret key":    {answer(403, "SignatureDoesNotMatch"), refused, all, soon, "correct SecretKey in [cache.s3]"},
		"old token":           {answer(400, "ExpiredToken"), refused, all, soon, "correct SessionToken in [cache.s3]"},
		"missing bucket":      {answer(404, "NoSuchBucket"), refused, all, soon, "correct BucketName or ServerAddress in [cache.s3]"},
		"another region":      {answer(400, "AuthorizationHeaderMalformed"), refused, all, soon, "BucketLocation in [cache.s3]"},
		"clocks that differ":  {answer(403, "RequestTimeTooSkewed"), refused, all, soon, "clock"},
		"no such encryption":  {only("PUT POST", answer(400, "KMS.NotFoundException")), refused, "Put PutFile", soon, "ServerSideEncryption"},
		"quota":               {only("PUT POST", answer(403, "QuotaExceeded")), refused, "Put PutFile", soon, "quota"},
		"full":                {only("PUT POST", answer(507, "XMinioStorageFull")), refused, "Put PutFile", soon, "is full"},
		"no server of S3":     {answer(501, "NotImplemented"), refused, all, soon, "ServerAddress in [cache.s3]"},
		"busy":                {answer(503, "SlowDown"), passes, all, again, "SlowDown"},
		"broken":              {plain(500, "oops"), passes, all, again, "oops"},
		"busy at first":       {once(answer(503, "SlowDown")), works, "", late, ""},
		"gone at first":       {once(abort), works, "", late, ""},
		"gone":                {abort, passes, all, again, ""},
		"hangs":               {hang, passes, all, late, "stopped answering"},
		"hangs while sent to": {only("PUT", deaf), passes, "Put PutFile", late, "stopped answering"},
		"slow":                {slow(time.Second), works, "", late, ""},
		"short bodies":        {only("GET", cut(1000)), passes, reads, again, ""},
		"hangs in a body":     {only("GET", stop(1000)), passes, reads, late, "stopped answering"},
		"cut in ranges once":  {only("GET", once(cut(3<<20))), works, "", late, ""},
		"cut again and again": {only("GET", bigger(4<<20, cut(3<<20))), works, "", late, ""},
		"hangs in ranges":     {only("GET", once(stop(3<<20))), works, "", late, ""},
		"knows no ranges":     {noRanges, works, "", late, ""},
		"ranges of its own":   {header("Content-Range", "bytes 5-20/4000"), passes, "GetFile", again, "the server sends"},
		"ranges of no sense":  {header("Content-Range", "lots"), passes, "GetFile", again, "cannot be read"},
		"sizes that change":   {otherSizes, passes, "GetFile", again, "written again"},
		"a version each time": {versions(), passes, "GetFile", late, "written again"},
		"a new version once":  {twoVersions(), works, "", late, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := faulty(t, test.fault)
			if strings.HasPrefix(name, "hangs") {
				s.Bounds(faultCall, faultHang, faultAttempts)
			}
			for call, do := range calls(t, s) {
				t.Run(call, func(t *testing.T) {
					t.Parallel()
					want := works
					if strings.Contains(" "+test.fails+" ", " "+call+" ") {
						want = test.want
					}
					start := time.Now()
					err := do(t.Context())
					if took := time.Since(start); took > test.within {
						t.Errorf("%s took %s, want at most %s", call, took, test.within)
					}
					if got := classOf(err); got != want {
						t.Errorf("%s %s: %v, want that it %s", call, got, err, want)
					}
					if err != nil && (!strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "\n")) {
						t.Errorf("%s says %q, want a line with %q", call, err, test.says)
					}
				})
			}
		})
	}
}

func TestABucketsServerThatIsGoneIsGivenUpSoon(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	cfg := at(server)
	server.Close()
	s := newS3(t, cfg) // with the bounds of real life
	for call, do := range calls(t, s) {
		start := time.Now()
		if err := do(t.Context()); classOf(err) != passes {
			t.Errorf("%s: %v", call, err)
		}
		if took := time.Since(start); took > again {
			t.Errorf("%s took %s", call, took)
		}
	}
}

func TestABucketThatDoesNotExistIsNoMissingObject(t *testing.T) {
	t.Parallel()
	cfg := fake(t)
	cfg.BucketName = "another"
	for call, do := range calls(t, newS3(t, cfg)) {
		if err := do(t.Context()); classOf(err) != refused || !strings.Contains(err.Error(), `no bucket "another"`) {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestAServerThatHangsIsGivenUpWithTheContext(t *testing.T) {
	t.Parallel()
	s, _ := faulty(t, hang)
	s.Bounds(time.Minute, time.Minute, 3)
	for call, do := range calls(t, s) {
		reason := errors.New("the job was canceled")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, reason)
		start := time.Now()
		err := do(ctx)
		if took := time.Since(start); !errors.Is(err, reason) || took > soon {
			t.Errorf("%s: after %s: %v", call, took, err)
		}
		cancel()
	}
}

func TestARangeIsResumedWhereItBroke(t *testing.T) {
	t.Parallel()
	const broken = 3 << 20
	s, seen := faulty(t, only("GET", once(cut(broken))))
	if err := calls(t, s)["GetFile"](t.Context()); err != nil {
		t.Fatal(err)
	}
	resumed := 0
	for _, r := range seen() {
		var from, to int64
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil && from%store.RangeSize != 0 && from < 2*store.RangeSize {
			resumed++
			if from%store.RangeSize > broken || from%store.RangeSize < broken/2 {
				t.Errorf("it goes on at %d, after %d bytes", from, broken)
			}
			if r.Header.Get("If-Match") == "" {
				t.Error("it goes on with whatever version there is")
			}
		}
	}
	if resumed == 0 {
		t.Error("nothing was resumed")
	}
}

func TestAFailedUploadLeavesNoPartsBehind(t *testing.T) {
	t.Parallel()
	fail := func(w http.ResponseWriter, r *http.Request, n int, next http.Handler) {
		if r.Method == http.MethodPut && r.URL.Query().Get("partNumber") == "2" {
			answer(403, "AccessDenied")(w, r, n, next)
			return
		}
		next.ServeHTTP(w, r)
	}
	s, seen := faulty(t, fail)
	if err := calls(t, s)["PutFile"](t.Context()); classOf(err) != refused {
		t.Error(err)
	}
	aborted := 0
	for _, r := range seen() {
		if r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") {
			aborted++
		}
	}
	if aborted != 1 {
		t.Errorf("%d uploads were aborted", aborted)
	}
}

func TestAnUploadWhoseLastAnswerIsLostHasWorked(t *testing.T) {
	t.Parallel()
	lose := func(w http.ResponseWriter, r *http.Request, n int, next http.Handler) {
		if r.Method == http.MethodPost && r.URL.Query().Has("uploadId") && n == 0 {
			next.ServeHTTP(httptest.NewRecorder(), r)
			abort(w, r, n, next)
		}
		next.ServeHTTP(w, r)
	}
	s, _ := faulty(t, lose)
	if err := calls(t, s)["PutFile"](t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAFileThatIsThereIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s, seen := faulty(t, func(w http.ResponseWriter, r *http.Request, _ int, next http.Handler) { next.ServeHTTP(w, r) })
	put := calls(t, s)["PutFile"]
	if err := errors.Join(put(t.Context()), put(t.Context())); err != nil {
		t.Fatal(err)
	}
	last := seen()[len(seen())-1]
	if last.Method != http.MethodHead {
		t.Errorf("the last request is %s %s", last.Method, last.URL)
	}
}

// Secrets come back in errors where a server or a proxy tells what it was sent.
func TestErrorsTellNoSecrets(t *testing.T) {
	t.Parallel()
	const token = "a/session+token=="
	for name, body := range map[string]string{
		"in XML":  "<Error><Code>SlowDown</Code><Message>%s</Message></Error>",
		"denied":  "<Error><Code>AccessDenied</Code><Message>%s</Message></Error>",
		"in HTML": "<html>your request was %s",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusBadGateway)
				fmt.Fprintf(w, body, fmt.Sprint(r.Header.Get("X-Amz-Security-Token"), " ", url.QueryEscape(token), " kept-to-ourselves"))
			}))
			t.Cleanup(server.Close)
			cfg := at(server)
			cfg.SessionToken = token
			s := newS3(t, cfg)
			s.Bounds(faultCall, faultStall, 1)
			for call, do := range calls(t, s) {
				err := do(t.Context())
				if err == nil || strings.Contains(err.Error(), cfg.SecretKey) || strings.Contains(err.Error(), token) ||
					strings.Contains(err.Error(), url.QueryEscape(token)) {
					t.Errorf("%s: %v", call, err)
				}
			}
		})
	}
}
