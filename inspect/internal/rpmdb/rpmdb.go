// Package rpmdb reads which packages are installed from rpm's database, as rpm
// keeps it since 4.16: an SQLite database with a table Packages, whose rows hold
// the header of a package each (rpm's lib/backend/sqlite.c).
//
// Of SQLite it reads what that takes: a table from its first row to its last
// ("Database File Format", sections 1.6 and 2). What lies in a write-ahead log
// beside the database, which rpm leaves behind only when it was killed, is not
// seen. Databases are foreign bytes: every page is read once, and sizes are
// bounded.
package rpmdb

import (
	"errors"
	"fmt"
	"io"

	"github.com/imgbuild/imgbuild/kernel/rpm"
)

// table holds the headers.
const table = "Packages"

// Packages calls fn for each package in the database in the n bytes of r.
func Packages(r io.ReaderAt, n int64, fn func(rpm.Info) error) error {
	db, err := open(r, n)
	if err != nil {
		return err
	}
	root := int64(0)
	err = db.rows(1, func(row []value) error { // type, name, table, root, text
		if len(row) >= 4 && string(row[0].bytes) == "table" && string(row[1].bytes) == table {
			root = row[3].number
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	if root == 0 {
		return errors.New("it has no table " + table)
	}
	return db.rows(root, func(row []value) error {
		if len(row) < 2 {
			return fmt.Errorf("a row of %s has %d columns", table, len(row))
		}
		info, err := rpm.Installed(row[1].bytes)
		if err != nil {
			return err
		}
		return fn(info)
	})
}
