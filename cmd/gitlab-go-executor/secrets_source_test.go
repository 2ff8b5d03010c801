package main

import (
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// whole are the verbs that print a struct with all that is in it, of which nobody thinks when a field is added that holds a secret.
var whole = regexp.MustCompile(`%[-# 0]*[+#][-# 0]*v`)

func TestNoMessagePrintsAStructAsAWhole(t *testing.T) {
	t.Parallel()
	files := 0
	for _, folder := range []string{"cmd", "executor", "cache"} {
		err := filepath.WalkDir(filepath.Join("..", "..", folder), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() && strings.HasSuffix(d.Name(), "test") { // of tests, such as layertest
				return fs.SkipDir
			}
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files++
			var s scanner.Scanner
			set := token.NewFileSet()
			s.Init(set.AddFile(path, -1, len(text)), text, nil, 0)
			for at, tok, literal := s.Scan(); tok != token.EOF; at, tok, literal = s.Scan() {
				if tok == token.STRING && whole.MatchString(literal) {
					t.Errorf("%s: %s: print its fields one by one", set.Position(at), literal)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
}
