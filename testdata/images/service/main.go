// The service that the tests start beside a job: it tells over HTTP what it was started with.
//
//	GET /              hostname, arguments, and the variables whose names start with SERVICE_
//	GET /env?name=X    the value of X; 404 when it is not set
//	GET /file?name=X   the content of the file X
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	addr := flag.String("addr", ":8080", "where to listen")
	delay := flag.Duration("delay", 0, "how long to wait before listening")
	broken := flag.Bool("broken", false, "complain and exit instead")
	flag.Parse()
	if *broken {
		fmt.Fprintln(os.Stderr, "service: cannot start: told to be broken")
		os.Exit(1)
	}

	time.Sleep(*delay)
	http.HandleFunc("GET /{$}", about)
	http.HandleFunc("GET /env", env)
	http.HandleFunc("GET /file", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, r.FormValue("name")) })
	log.Printf("service: listening on %s", *addr)
	log.Fatal(http.ListenAndServe(*addr, nil))
}

func about(w http.ResponseWriter, _ *http.Request) {
	host, err := os.Hostname()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintf(w, "hostname=%s\nargs=%q\n", host, os.Args[1:])
	for _, v := range os.Environ() {
		if strings.HasPrefix(v, "SERVICE_") {
			fmt.Fprintln(w, v)
		}
	}
}

func env(w http.ResponseWriter, r *http.Request) {
	v, ok := os.LookupEnv(r.FormValue("name"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	fmt.Fprintln(w, v)
}
