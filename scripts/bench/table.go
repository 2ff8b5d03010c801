package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
)

// table prints the rows for people. The ratios are to the first of GitLab Runner's rows: how many times faster each is.
func table(to io.Writer, rows []Row) {
	base := rows[0]
	for _, r := range rows {
		if r.Name == "GitLab Runner, zip" {
			base = r
		}
	}
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tbuild can start\tfetched\tbuild\tsave: nothing changed\tall three\tsave: a leaf package\troot package\tone module\tsent: nothing\tleaf\troot\tmodule\tpeak memory")
	all := func(r Row) float64 { return r.Ready + r.Build + r.Unchanged.Seconds }
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%.1f s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name,
			against(r.Ready, base.Ready), bytes(r.Fetched), r.Build, against(r.Unchanged.Seconds, base.Unchanged.Seconds), against(all(r), all(base)),
			against(r.Leaf.Seconds, base.Leaf.Seconds), against(r.Root.Seconds, base.Root.Seconds), against(r.Module.Seconds, base.Module.Seconds),
			bytes(r.Unchanged.Sent), bytes(r.Leaf.Sent), bytes(r.Root.Sent), bytes(r.Module.Sent), bytes(r.Memory))
	}
	_ = t.Flush()
}

func against(seconds, base float64) string {
	return fmt.Sprintf("%.2f s (%.1fx)", seconds, base/seconds)
}

func bytes(n int64) string { return humanize.Bytes(uint64(max(n, 0))) }
