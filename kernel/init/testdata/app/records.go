package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// records is a file of numbered lines for each client: /append adds the next
// one and answers its number once it is on the disk; /records answers the
// number of the last.
type records struct {
	sync.Mutex
	files map[string]*record
}

type record struct {
	sync.Mutex
	file *os.File
	last int
}

// recordSize is that of a line.
const recordSize = 9

// open opens a client's file as a careful program would: the file is made
// durable with its name, and a last line that a power cut left in pieces is cut
// off. A gap or a damaged line before that is an error.
func (r *records) open(client string) (*record, error) {
	r.Lock()
	defer r.Unlock()
	if have := r.files[client]; have != nil {
		return have, nil
	}
	path := filepath.Join("/data", "records-"+filepath.Base(client))
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syncFolder("/data"); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	n := len(text) / recordSize
	for i := range n {
		if line := text[i*recordSize:][:recordSize]; !bytes.Equal(line, fmt.Appendf(nil, "%08d\n", i+1)) {
			return nil, fmt.Errorf("line %d of %d is %q", i+1, n, line)
		}
	}
	if err := file.Truncate(int64(n) * recordSize); err != nil {
		return nil, err
	}
	have := &record{file: file, last: n}
	r.files[client] = have
	return have, nil
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// append adds a line and returns its number.
func (r *record) append() (int, error) {
	r.Lock()
	defer r.Unlock()
	if _, err := r.file.WriteAt(fmt.Appendf(nil, "%08d\n", r.last+1), int64(r.last)*recordSize); err != nil {
		return 0, err
	}
	if err := r.file.Sync(); err != nil {
		return 0, err
	}
	r.last++
	return r.last, nil
}

// handle registers both paths.
func (r *records) handle() {
	answer := func(number func(*record) (int, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			have, err := r.open(q.URL.Query().Get("client"))
			n := 0
			if err == nil {
				n, err = number(have)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			_, _ = w.Write([]byte(strconv.Itoa(n)))
		}
	}
	http.HandleFunc("/append", answer((*record).append))
	http.HandleFunc("/records", answer(func(r *record) (int, error) { return r.last, nil }))
}
