package main

import (
	"testing"

	"gitlab.com/gitlab-go-executor/gitlab-go-executor/cache/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
