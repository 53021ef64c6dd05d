//go:build race

package main

// raced says that this test is its own, slow program: see [program].
const raced = true
