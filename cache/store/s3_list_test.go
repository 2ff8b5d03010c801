package store_test

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/store"
)

func TestAListingIsInOrderWhateverTheServersPagesAreLike(t *testing.T) {
	t.Parallel()
	var sorted []string
	for i := range 250 {
		sorted = append(sorted, fmt.Sprintf("%04d", i))
	}
	reversed := slices.Clone(sorted)
	slices.Reverse(reversed)
	odd := slices.Concat([]string{"", "dir/", "a b", ".staging/x"}, sorted[:100], []string{"0050", "0051"}, sorted[100:], []string{"~"})
	for name, names := range map[string][]string{
		"sorted":                    sorted,
		"reversed":                  reversed,
		"the end in the middle":     slices.Concat(sorted[:40], sorted[200:], sorted[40:200]),
		"some twice":                slices.Concat(sorted[:120], sorted[110:]),
		"the last of a page again":  slices.Concat(sorted[:100], sorted[99:]),
		"folders and foreign names": odd,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := lister(t, func(page int) ([]string, bool) {
				from := min(page*100, len(names))
				return names[from:min(from+100, len(names))], from+100 < len(names)
			})
			cfg.Prefix = "caches/go"
			s := newS3(t, cfg)
			for limit, want := range map[int][]string{0: sorted, 1: sorted[:1], 99: sorted[:99], 100: sorted[:100], 101: sorted[:101], 1000: sorted} {
				found, err := s.List(t.Context(), "0", limit)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, o := range found {
					got = append(got, o.Key)
				}
				if !slices.Equal(got, want) {
					t.Errorf("limit %d: got %.200v, want %.200v", limit, got, want)
				}
			}
		})
	}
}

func TestAListingWithALimitReadsNoMorePagesThanItNeeds(t *testing.T) {
	t.Parallel()
	asked := 0
	s := newS3(t, lister(t, func(page int) ([]string, bool) {
		asked++
		var names []string
		for i := range 100 {
			names = append(names, fmt.Sprintf("%05d", page*100+i))
		}
		return names, true
	}))
	if found, err := s.List(t.Context(), "", 100); err != nil || len(found) != 100 || asked != 1 {
		t.Errorf("got %d objects of %d pages, %v", len(found), asked, err)
	}
}

func TestAListingThatNeverEndsIsGivenUp(t *testing.T) {
	t.Parallel()
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("%03d", i))
	}
	s := newS3(t, lister(t, func(int) ([]string, bool) { return names, true }))
	s.Bounds(time.Minute, time.Second, 1)
	if found, err := s.List(t.Context(), "", 0); classOf(err) != passes {
		t.Errorf("got %d objects, %v", len(found), err)
	}
}

// lister is a server that lists these objects. Names are below caches/go/ if a store asks for that prefix.
func lister(t *testing.T, pages func(page int) (names []string, more bool)) store.S3Config {
	t.Helper()
	type content struct {
		Key          string
		LastModified time.Time
		Size         int64
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, _ := strconv.Atoi(r.URL.Query().Get("continuation-token")) // none is the first
		names, more := pages(page)
		answer := struct {
			XMLName               xml.Name `xml:"ListBucketResult"`
			IsTruncated           bool
			NextContinuationToken string
			Contents              []content
		}{IsTruncated: more, NextContinuationToken: strconv.Itoa(page + 1)}
		below := ""
		if prefix := r.URL.Query().Get("prefix"); len(prefix) > 1 {
			below = "caches/go/"
		}
		for _, name := range names {
			answer.Contents = append(answer.Contents, content{below + name, time.Now(), 1})
		}
		_ = xml.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return at(server)
}
